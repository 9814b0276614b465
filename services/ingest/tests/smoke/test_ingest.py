"""Smoke tests of `ingest`: a few calls, each of which needs another part of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import boto3
import httpx
import pytest

from slipway.testing.smoke import DeployedService

PATIENCE_SECONDS = 60


class Ingest(NamedTuple):
    """The service, and how to call it."""

    outputs: dict[str, str]
    http: httpx.Client
    key: str

    def call(self, method: str, path: str, *, key: bool = True, **content: Any) -> httpx.Response:
        headers = {"x-api-key": self.key} if key else {}
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, headers=headers, **content)


@pytest.fixture(scope="module")
def ingest(deployed: DeployedService) -> Ingest:
    """Return the deployed service `ingest`."""
    gateway = boto3.client("apigateway", region_name=deployed.region)
    value = gateway.get_api_key(apiKey=deployed.outputs["ApiKeyId"], includeValue=True)["value"]
    return Ingest(deployed.outputs, deployed.http, value)


def test_health_is_answered_without_a_key(ingest: Ingest) -> None:
    answer = ingest.call("GET", "health", key=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_nothing_is_accepted_without_a_key(ingest: Ingest) -> None:
    answer = ingest.call("POST", "data", key=False, json={"payload": "smoke"})
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("size", [10, 10_000], ids=["in the table", "in the bucket"])
def test_a_record_is_accepted_and_returned(ingest: Ingest, size: int) -> None:
    sent = ingest.call("POST", "data", json={"payload": "s" * size})
    assert sent.status_code == 201, sent.text
    read = ingest.call("GET", "data", params={"id": sent.json()["id"]})
    assert (read.status_code, read.json()["payload"]) == (200, "s" * size)


def test_a_job_processes_pending_records(ingest: Ingest) -> None:
    # Given a pending record, besides those left pending by others with the same key
    sent = ingest.call("POST", "data", json={"payload": "smoke"})
    assert sent.status_code == 201, sent.text

    # When a job is started
    started = ingest.call("POST", "process")
    assert started.status_code == 202, started.text

    # Then it ends, and the record is completed
    end = time.monotonic() + PATIENCE_SECONDS
    while (job := ingest.call("GET", f"process/{started.json()['id']}").json())["status"] in {"queued", "processing"}:
        assert time.monotonic() < end, job
        time.sleep(0.5)
    assert job["status"] in {"completed", "failed"}, job
    read = ingest.call("GET", "data", params={"id": sent.json()["id"]})
    assert (read.status_code, read.json()["status"]) == (200, "completed")
