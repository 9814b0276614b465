"""The service's OpenAPI document."""

from services.items.runtime.routes import app
from slipway_runtime.openapi import SIGV4, Document

DOCUMENT = Document(
    app=app,
    title="Items",
    description="Items: reads are public through the edge, writes are signed with AWS Signature Version 4.",
    security=SIGV4,
)
