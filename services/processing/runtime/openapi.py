"""The service's OpenAPI document."""

from services.processing.runtime.routes import app
from slipway_runtime.openapi import BEARER, Document

DOCUMENT = Document(
    app=app,
    title="Processing",
    description="Validates and processes data of users who sign in; everyone sees what is theirs.",
    security=BEARER,
    # An HTTP API shapes none of its own answers.
    messages=(401, 413, 429, 500, 502, 503),
)
