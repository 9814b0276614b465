"""Writes the service's OpenAPI document: `python -m services.items.runtime.openapi`.

The document is committed. Templates are compared with it, and API Gateway validates requests by its schemas.
"""

import json
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn

from services.items.runtime.routes import HEADER_NAMES, app

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"
VERSION: Final = "1.0.0"

# Powertools documents its own validation answer for every route; `routes` gives a 400 problem instead.
_POWERTOOLS_SCHEMAS: Final = ("HTTPValidationError", "ResponseValidationError", "ValidationError")
_WITHOUT_BODY: Final = ("204", "304")


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    text = app.get_openapi_json_schema(
        title="Items",
        version=VERSION,
        description="Items: reads are public through the edge, writes are signed with AWS Signature Version 4.",
        security_schemes={
            "sigv4": APIKey(name="Authorization", in_=APIKeyIn.header, description="AWS Signature Version 4")
        },
    )
    schema: dict[str, Any] = json.loads(text)
    # Relative to wherever the stage is: the document carries no environment's address.
    schema["servers"] = [{"url": "/"}]
    schema["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] = "awsSigv4"
    schema["paths"] = dict(sorted(schema["paths"].items()))
    for path in schema["paths"].values():
        for operation in path.values():
            _correct(operation)
    for name in _POWERTOOLS_SCHEMAS:
        schema["components"]["schemas"].pop(name, None)
    schema["components"]["schemas"] = dict(sorted(schema["components"]["schemas"].items()))
    return schema


def _correct(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if f"#/components/schemas/{_POWERTOOLS_SCHEMAS[0]}" in json.dumps(answers.get("422", {})):
        del answers["422"]
    for status in _WITHOUT_BODY:
        answers.get(status, {}).pop("content", None)
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in operation.get("parameters", []):
        parameter["name"] = HEADER_NAMES.get(parameter["name"], parameter["name"])


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
