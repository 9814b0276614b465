"""Other people's clients: a generated one, a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.ingest.tests.local.ingest import Behind
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.browser import Browser, why_not
from slipway.testing.clients import GeneratedClient, fetch, generate, page_elsewhere
from slipway.testing.emulated import until


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> GeneratedClient:
    return generate("ingest", tmp_path_factory.mktemp("ingest"))


def test_records_are_sent_and_worked_off(
    generated: GeneratedClient, local: LocalEnvironment, outputs: Outputs, session: Any
) -> None:
    client, at = generated, outputs["ingest"]["ApiEndpoint"].rstrip("/")
    new = client.model("NewRecord").from_dict({"payload": "x" * 5000})
    behind = Behind(session(), outputs["ingest"])
    with local.emulator.http() as http:
        refused = client.call("create_record", http, at, body=new)
        health = client.call("get_health", http, at)
        http.headers["x-api-key"] = behind.new_key(behind.new_plan())
        sent = client.call("create_record", http, at, body=new)
        read = client.call("get_record", http, at, id=sent.parsed.id)
        job = client.call("start_job", http, at)
        ended = until(
            lambda: (
                found
                if (found := client.call("get_job", http, at, job=job.parsed.id).parsed).status.value == "completed"
                else None
            )
        )
        # And one whose payload was lost
        behind.client("s3").delete_object(Bucket=outputs["ingest"]["BucketName"], Key=f"payloads/{sent.parsed.id}")
        lost = client.call("get_record", http, at, id=sent.parsed.id)
        missing = client.call("get_record", http, at, id="none")
    assert (refused.parsed.status, refused.parsed.title) == (403, "Forbidden")
    assert health.parsed.status == "ok"
    assert (read.parsed.payload, read.parsed.size) == ("x" * 5000, 5000)
    assert (ended.total, ended.failures) == (1, [])
    assert (lost.status_code, lost.parsed.status.value, lost.parsed.payload) == (200, "failed", None)
    assert lost.parsed.reason
    assert missing.parsed.status == 404


@pytest.fixture(scope="module")
def page(local: LocalEnvironment, outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing := why_not():
        pytest.skip(missing)
    hosts = {urlsplit(outputs["ingest"]["ApiEndpoint"]).hostname or ""}
    with page_elsewhere(local.emulator, tmp_path_factory.mktemp("page"), hosts) as window:
        yield window


def test_a_page_sends_a_record_with_its_key(page: Browser, outputs: Outputs, session: Any) -> None:
    behind = Behind(session(), outputs["ingest"])
    headers = {"Content-Type": "application/json", "x-api-key": behind.new_key(behind.new_plan())}
    body = json.dumps({"payload": "from a page"})
    answer = fetch(page, f"{outputs['ingest']['ApiEndpoint']}data", method="POST", headers=headers, body=body)
    assert answer["status"] == 201
    assert answer["location"]
