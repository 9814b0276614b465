"""The committed OpenAPI document, and what an invocation of Lambda takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.ingest.runtime import openapi
from services.ingest.runtime.model import PAYLOAD_BYTES, carried_bytes
from services.ingest.tests.unit.fakes import Service, proxy_event

LAMBDA_BYTES = 6 * 1024 * 1024


@pytest.mark.requirement("ingest: routes")
def test_the_committed_document_is_that_of_the_routes(service: Service) -> None:
    committed = Path(openapi.__file__).parents[1] / "openapi.json"
    assert committed.read_text(encoding="utf-8") == openapi.DOCUMENT.text()


def test_all_but_health_ask_for_a_key(service: Service) -> None:
    operations = {
        f"{method.upper()} {path}": operation.get("security")
        for path, methods in openapi.DOCUMENT.content()["paths"].items()
        for method, operation in methods.items()
    }
    assert operations.pop("GET /health") is None
    assert set(operations) == {"GET /data", "POST /data", "POST /process", "GET /process/{job}"}
    assert all(security == [{"api_key": []}] for security in operations.values())


@pytest.mark.requirement("ingest: records")
@pytest.mark.parametrize("piece", ["x", '"', "\\", "\n", "\x00", "\x1f", "\x7f", "é", "€", "😀", "\u2028", 'a"\n😀'])
def test_the_largest_payload_fits_into_an_invocation_both_ways(service: Service, piece: str) -> None:
    # Given as much as is taken of whatever text
    payload = piece * (PAYLOAD_BYTES // carried_bytes(piece))
    assert carried_bytes(payload) <= PAYLOAD_BYTES

    # When it goes through the function, as Lambda's own runtime writes it
    event = proxy_event("POST", "/data", body=json.dumps({"payload": payload}, ensure_ascii=False))
    sent = service.call(event)
    read = service.call(proxy_event("GET", "/data", query={"id": sent.json["id"]}))

    # Then neither event nor answer is more than Lambda carries, with 200 kB to spare for headers
    assert (sent.status, read.status) == (201, 200)
    assert len(json.dumps(event, ensure_ascii=False).encode()) < LAMBDA_BYTES - 200_000
    assert len(json.dumps({"statusCode": 200, "body": read.text}, ensure_ascii=False).encode()) < LAMBDA_BYTES - 200_000
