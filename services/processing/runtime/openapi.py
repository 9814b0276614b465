"""Writes the service's OpenAPI document: `python -m services.processing.runtime.openapi`.

The document is committed; tests and tools read it.
"""

import json
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from services.processing.runtime.routes import HEADER_NAMES, app

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"
VERSION: Final = "1.0.0"

# Powertools documents its own validation answer for every route; `routes` gives a 400 problem instead.
_POWERTOOLS_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")
# What API Gateway sends before the service sees a request.
_GATEWAY_MESSAGE: Final = {
    "type": "object",
    "title": "GatewayMessage",
    "description": "API Gateway's own answer, which an HTTP API cannot shape.",
    "properties": {"message": {"type": "string", "title": "Message"}},
    "required": ["message"],
}


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    text = app.get_openapi_json_schema(
        title="Processing",
        version=VERSION,
        description="Validates and processes data of users who sign in; everyone sees what is theirs.",
        security_schemes={
            "bearer": HTTPBearer(scheme="bearer", bearerFormat="JWT", description="Access token of the user pool")
        },
    )
    schema: dict[str, Any] = json.loads(text)
    # Relative to wherever the stage is: the document carries no environment's address.
    schema["servers"] = [{"url": "/"}]
    schema["paths"] = dict(sorted(schema["paths"].items()))
    for path in schema["paths"].values():
        for operation in path.values():
            _correct(operation)
    schemas = schema["components"]["schemas"]
    for name in _POWERTOOLS_SCHEMAS:
        schemas.pop(name, None)
    schemas["GatewayMessage"] = _GATEWAY_MESSAGE
    schema["components"]["schemas"] = dict(sorted(schemas.items()))
    return schema


def _correct(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if f"#/components/schemas/{_POWERTOOLS_SCHEMAS[0]}" in json.dumps(answers.get("422", {})):
        del answers["422"]
    if "401" in answers:
        answers["401"]["content"]["application/json"] = {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in operation.get("parameters", []):
        parameter["name"] = HEADER_NAMES.get(parameter["name"], parameter["name"])


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
