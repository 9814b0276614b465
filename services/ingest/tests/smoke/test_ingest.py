"""Smoke tests of `ingest`: a few calls, each of which needs another part of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest

from slipway.testing.smoke import DeployedService

PATIENCE_SECONDS = 60


Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def call(deployed: DeployedService) -> Call:
    """Return a function that sends a request to the API, with its first key unless told otherwise."""
    gateway = boto3.client("apigateway", region_name=deployed.region)
    value = gateway.get_api_key(apiKey=deployed.outputs["ApiKeyId"], includeValue=True)["value"]

    def send(method: str, path: str, *, key: bool = True, **content: Any) -> httpx.Response:
        return deployed.unsigned(method, path, headers={"x-api-key": value} if key else {}, **content)

    return send


def test_health_is_answered_without_a_key(call: Call) -> None:
    answer = call("GET", "health", key=False)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_nothing_is_accepted_without_a_key(call: Call) -> None:
    answer = call("POST", "data", key=False, json={"payload": "smoke"})
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("size", [10, 10_000], ids=["in the table", "in the bucket"])
def test_a_record_is_accepted_and_returned(call: Call, size: int) -> None:
    sent = call("POST", "data", json={"payload": "s" * size})
    assert sent.status_code == 201, sent.text
    read = call("GET", "data", params={"id": sent.json()["id"]})
    assert (read.status_code, read.json()["payload"]) == (200, "s" * size)


def test_a_job_processes_pending_records(call: Call) -> None:
    # Given a pending record, besides those left pending by others with the same key
    sent = call("POST", "data", json={"payload": "smoke"})
    assert sent.status_code == 201, sent.text

    # When a job is started
    started = call("POST", "process")
    assert started.status_code == 202, started.text

    # Then it ends, and the record is completed
    end = time.monotonic() + PATIENCE_SECONDS
    while (job := call("GET", f"process/{started.json()['id']}").json())["status"] in {"queued", "processing"}:
        assert time.monotonic() < end, job
        time.sleep(0.5)
    assert job["status"] in {"completed", "failed"}, job
    read = call("GET", "data", params={"id": sent.json()["id"]})
    assert (read.status_code, read.json()["status"]) == (200, "completed")
