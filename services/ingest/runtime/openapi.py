"""Writes the service's OpenAPI document: `python -m services.ingest.runtime.openapi`.

The document is committed. Templates are compared with it, and API Gateway validates requests by its schemas.
"""

import json
from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn
from pydantic import TypeAdapter

from services.ingest.runtime.routes import app
from services.ingest.runtime.schemas import Health

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"
VERSION: Final = "1.0.0"

# Powertools documents its own validation answer for every route; `routes` gives a 400 problem instead.
_POWERTOOLS_SCHEMAS: Final = ("HTTPValidationError", "ValidationError")


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    text = app.get_openapi_json_schema(
        title="Ingest",
        version=VERSION,
        description="Records with an API key, worked off in the background.",
        security_schemes={"api_key": APIKey(name="x-api-key", in_=APIKeyIn.header, description="Key of a usage plan")},
    )
    schema: dict[str, Any] = json.loads(text)
    # Relative to wherever the stage is: the document carries no environment's address.
    schema["servers"] = [{"url": "/"}]
    # The gateway answers this one itself, so no route of the function describes it.
    schema["paths"]["/health"] = {"get": _health()}
    schema["components"]["schemas"]["Health"] = TypeAdapter(Health).json_schema()
    schema["paths"] = dict(sorted(schema["paths"].items()))
    for path in schema["paths"].values():
        for operation in path.values():
            _correct(operation)
    for name in _POWERTOOLS_SCHEMAS:
        schema["components"]["schemas"].pop(name, None)
    schema["components"]["schemas"] = dict(sorted(schema["components"]["schemas"].items()))
    return schema


def _health() -> dict[str, Any]:
    return {
        "summary": "Tell whether the API stands",
        "operationId": "getHealth",
        "responses": {
            "200": {
                "description": "It stands.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Health"}}},
            }
        },
    }


def _correct(operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if f"#/components/schemas/{_POWERTOOLS_SCHEMAS[0]}" in json.dumps(answers.get("422", {})):
        del answers["422"]
    operation["responses"] = dict(sorted(answers.items()))


def text() -> str:
    """The document as it is committed."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
