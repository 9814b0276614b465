"""Writes the service's OpenAPI document: `python -m services.items.runtime.openapi`."""

from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import APIKey, APIKeyIn

from services.items.runtime.routes import app
from slipway_runtime import openapi

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    schema = openapi.document(
        app,
        title="Items",
        description="Items: reads are public through the edge, writes are signed with AWS Signature Version 4.",
        security_schemes={
            "sigv4": APIKey(name="Authorization", in_=APIKeyIn.header, description="AWS Signature Version 4")
        },
        messages=(413,),
    )
    schema["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] = "awsSigv4"
    return schema


if __name__ == "__main__":
    DOCUMENT.write_text(openapi.written(document()), encoding="utf-8")
