"""Writes a service's OpenAPI document from its routes.

The documents are committed. Templates are compared with them, and API Gateway validates requests by their schemas.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aws_lambda_powertools.event_handler import ApiGatewayResolver
from pydantic import TypeAdapter

from slipway_runtime.contract import Problem
from slipway_runtime.http import HEADER_NAMES

VERSION: Final = "1.0.0"

# Powertools documents its own validation answers for every route; the services give a 400 problem instead.
_POWERTOOLS_SCHEMAS: Final = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
_WITHOUT_CONTENT: Final = ("204", "304")
_GATEWAY_MESSAGE: Final = {
    "type": "object",
    "title": "GatewayMessage",
    "description": "API Gateway's own answer, which cannot be customised.",
    "properties": {"message": {"type": ["string", "null"], "title": "Message"}},
    "required": ["message"],
}


SIGV4: Final = {
    "sigv4": {
        "type": "apiKey",
        "description": "AWS Signature Version 4",
        "in": "header",
        "name": "Authorization",
        "x-amazon-apigateway-authtype": "awsSigv4",
    }
}
API_KEY: Final = {
    "api_key": {"type": "apiKey", "description": "Key of a usage plan", "in": "header", "name": "x-api-key"}
}
BEARER: Final = {
    "bearer": {
        "type": "http",
        "description": "Access token of the user pool",
        "scheme": "bearer",
        "bearerFormat": "JWT",
    }
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """The OpenAPI document of a service. `slipway openapi` writes it.

    Attributes:
        app: The routes.
        title: The service's display name.
        description: What the service does.
        security: How callers authenticate. Default: they don't.
        messages: Statuses that API Gateway may return itself, in its own format. Default: 413, whose format no REST API
            can change.
        complete: Adds what the routes do not declare, before the document is sorted. Default: nothing.
    """

    app: ApiGatewayResolver
    title: str
    description: str
    security: Mapping[str, Any] = field(default_factory=dict)
    messages: Collection[int] = (413,)
    complete: Callable[[dict[str, Any]], None] = lambda _: None

    def content(self) -> dict[str, Any]:
        """Return the document, the same at every call."""
        text = self.app.get_openapi_json_schema(
            title=self.title, version=VERSION, description=self.description, security_schemes=dict(self.security)
        )
        schema: dict[str, Any] = json.loads(text)
        # Relative to wherever the stage is: the document carries no environment's address.
        schema["servers"] = [{"url": "/"}]
        if self.security:
            # Powertools omits the members of a scheme that it does not support.
            schema["components"]["securitySchemes"] = dict(self.security)
        self.complete(schema)
        schemas = schema["components"]["schemas"]
        schemas["GatewayMessage"] = _GATEWAY_MESSAGE
        for path in schema["paths"].values():
            for operation in path.values():
                _correct(operation, {str(status) for status in self.messages})
        for name in _POWERTOOLS_SCHEMAS:
            schemas.pop(name, None)
        schema["paths"] = dict(sorted(schema["paths"].items()))
        schema["components"]["schemas"] = dict(sorted(schemas.items()))
        return schema

    def text(self) -> str:
        """Return the document as it is committed."""
        return json.dumps(self.content(), indent=2, ensure_ascii=False) + "\n"


def schema_of(model: type) -> dict[str, Any]:
    """Return the schema of a model that no route of a function returns."""
    return TypeAdapter(model).json_schema()


def reference(name: str) -> dict[str, str]:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def _correct(operation: dict[str, Any], messages: Collection[str]) -> None:
    answers = operation["responses"]
    if f"#/components/schemas/{_POWERTOOLS_SCHEMAS[0]}" in json.dumps(answers.get("422", {})):
        del answers["422"]
    for status, answer in answers.items():
        if status in _WITHOUT_CONTENT:
            answer.pop("content", None)
        elif status in messages:
            # Under the problem's own media type too: readers choose one schema for a status.
            either = {"anyOf": [reference(Problem.__name__), reference("GatewayMessage")]}
            answer["content"] = {
                "application/problem+json": {"schema": either},
                "application/json": {"schema": reference("GatewayMessage")},
            }
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in operation.get("parameters", []):
        parameter["name"] = HEADER_NAMES.get(parameter["name"], parameter["name"])
