"""The service's OpenAPI document."""

from services.processing.runtime.routes import app
from slipway_runtime.openapi import BEARER, Document

DOCUMENT = Document(
    app=app,
    title="Processing",
    description="Validates and processes data of signed-in users; each user sees only their own records.",
    security=BEARER,
    # The answers of an HTTP API itself can't be customised.
    messages=(401, 413, 429, 500, 502, 503),
)
