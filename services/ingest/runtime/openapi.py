"""Writes the service's OpenAPI document: `python -m services.ingest.runtime.openapi`."""

from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn

from services.ingest.runtime.routes import app
from services.ingest.runtime.schemas import Health
from slipway_runtime import openapi

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    return openapi.document(
        app,
        title="Ingest",
        description="Records with an API key, worked off in the background.",
        security_schemes={"api_key": APIKey(name="x-api-key", in_=APIKeyIn.header, description="Key of a usage plan")},
        messages=(413,),
        complete=_add_health,
    )


def _add_health(schema: dict[str, Any]) -> None:
    # The gateway answers this one itself, so no route of the function describes it.
    answer = {"description": "It stands.", "content": {"application/json": {"schema": openapi.reference("Health")}}}
    failures = {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": openapi.reference("Problem")}},
        }
        for status, text in (("403", "The firewall refused it."), ("429", "Too many requests; try again later."))
    }
    schema["components"]["schemas"]["Health"] = openapi.schema_of(Health)
    schema["paths"]["/health"] = {
        "get": {
            "summary": "Tell whether the API stands",
            "operationId": "getHealth",
            "responses": {"200": answer, **failures},
        }
    }


if __name__ == "__main__":
    DOCUMENT.write_text(openapi.written(document()), encoding="utf-8")
