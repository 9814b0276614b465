"""The committed OpenAPI document is that of the routes."""

from services.processing.runtime import openapi
from services.processing.tests.unit import fakes  # noqa: F401 - sets the environment
from slipway_runtime.openapi import written


def test_the_committed_document_is_up_to_date() -> None:
    assert openapi.DOCUMENT.read_text(encoding="utf-8") == written(openapi.document())


def test_every_route_but_health_wants_a_token() -> None:
    for path, operations in openapi.document()["paths"].items():
        for operation in operations.values():
            assert operation.get("security") == (None if path == "/health" else [{"bearer": []}])
            assert ("401" in operation["responses"]) is (path != "/health")
