"""The committed OpenAPI document is that of the routes."""

from pathlib import Path

import pytest

from services.processing.runtime import openapi
from services.processing.tests.unit import fakes  # noqa: F401 - sets the environment


@pytest.mark.requirement("processing: routes")
def test_the_committed_document_is_up_to_date() -> None:
    committed = Path(openapi.__file__).parents[1] / "openapi.json"
    assert committed.read_text(encoding="utf-8") == openapi.DOCUMENT.text()


def test_every_route_but_health_wants_a_token() -> None:
    for path, operations in openapi.DOCUMENT.content()["paths"].items():
        for operation in operations.values():
            assert operation.get("security") == (None if path == "/health" else [{"bearer": []}])
            assert ("401" in operation["responses"]) is (path != "/health")
