"""The service's OpenAPI document."""

from typing import Any

from services.ingest.runtime.routes import app
from services.ingest.runtime.schemas import Health
from slipway_runtime import openapi


def _add_health(schema: dict[str, Any]) -> None:
    # The gateway answers this one itself, so no route of the function describes it.
    answer = {"description": "It stands.", "content": {"application/json": {"schema": openapi.reference("Health")}}}
    failures = {
        status: {
            "description": text,
            "content": {"application/problem+json": {"schema": openapi.reference("Problem")}},
        }
        for status, text in (("403", "Refused by the firewall."), ("429", "Too many requests; try again later."))
    }
    schema["components"]["schemas"]["Health"] = openapi.schema_of(Health)
    schema["paths"]["/health"] = {
        "get": {
            "summary": "Check whether the API works",
            "operationId": "getHealth",
            "responses": {"200": answer, **failures},
        }
    }


DOCUMENT = openapi.Document(
    app=app,
    title="Ingest",
    description="Records with an API key, processed in the background.",
    security=openapi.API_KEY,
    complete=_add_health,
)
