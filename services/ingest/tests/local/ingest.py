"""Helpers for the tests of `ingest` on the emulator: a caller with a key, and access to its data as root."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from services.ingest.runtime.model import owner_of
from slipway.testing.behind import Behind
from slipway.testing.emulated import until

DONE = frozenset({"completed", "failed"})


@dataclass(frozen=True)
class Caller:
    """A program with an API key."""

    http: httpx.Client
    endpoint: str
    key: str | None

    def call(self, method: str, path: str, **content: Any) -> httpx.Response:
        headers = dict(content.pop("headers", {}))
        if self.key is not None:
            headers["x-api-key"] = self.key
        return self.http.request(method, self.endpoint + path.removeprefix("/"), headers=headers, **content)

    def send(self, payload: str) -> dict[str, Any]:
        response = self.call("POST", "/data", json={"payload": payload})
        assert response.status_code == 201, response.text
        record: dict[str, Any] = response.json()
        return record

    def read(self, record_id: str) -> httpx.Response:
        return self.call("GET", "/data", params={"id": record_id})

    def start(self) -> dict[str, Any]:
        response = self.call("POST", "/process")
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        assert response.url.join(response.headers["location"]) == f"{self.endpoint}process/{job['id']}"
        return job

    def job(self, job_id: str) -> dict[str, Any]:
        response = self.call("GET", f"/process/{job_id}")
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def ended(self, job_id: str, seconds: float = 60) -> dict[str, Any]:
        """Return the job once it has ended."""
        return until(lambda: job if (job := self.job(job_id))["status"] in DONE else None, seconds)


def plant_job(behind: Behind, caller: Caller, **fields: Any) -> str:
    """Create a job without a message for it, and return its id."""
    assert caller.key is not None
    now, job_id = int(time.time()), str(uuid4())
    item = {
        "id": {"S": job_id},
        "owner": {"S": owner_of(caller.key)},
        "created_at": {"S": "2026-11-20T12:00:00.000000Z"},
        "expires_at": {"N": str(now + 3600)},
        "deadline": {"N": str(now + 3600)},
        "completed": {"N": "0"},
        "failed": {"N": "0"},
        "given_up": {"M": {}},
        "failures": {"L": []},
        **fields,
    }
    behind.client("dynamodb").put_item(TableName=behind.outputs["JobsTableName"], Item=item)
    return job_id


def open_job(behind: Behind, caller: Caller) -> str:
    """Create a job of a caller with one open batch but no message, and return its id."""
    return plant_job(behind, caller, total={"N": "1"}, open={"NS": ["0"]})


def lose(behind: Behind, record_id: str) -> None:
    """Delete a record's payload from the bucket."""
    behind.client("s3").delete_object(Bucket=behind.outputs["BucketName"], Key=f"payloads/{record_id}")


def reason(message: Mapping[str, Any]) -> str | None:
    """Return the reason why a message is a dead letter."""
    text: str | None = message.get("MessageAttributes", {}).get("reason", {}).get("StringValue")
    return text
