"""Writes the service's OpenAPI document: `python -m services.processing.runtime.openapi`."""

from pathlib import Path
from typing import Any, Final

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from services.processing.runtime.routes import app
from slipway_runtime import openapi

DOCUMENT: Final = Path(__file__).parents[1] / "openapi.json"

# An HTTP API shapes none of its own answers.
_MESSAGES: Final = (401, 413, 429, 500, 503)


def document() -> dict[str, Any]:
    """The OpenAPI document of the routes, the same at every call."""
    return openapi.document(
        app,
        title="Processing",
        description="Validates and processes data of users who sign in; everyone sees what is theirs.",
        security_schemes={
            "bearer": HTTPBearer(scheme="bearer", bearerFormat="JWT", description="Access token of the user pool")
        },
        messages=_MESSAGES,
    )


if __name__ == "__main__":
    DOCUMENT.write_text(openapi.written(document()), encoding="utf-8")
