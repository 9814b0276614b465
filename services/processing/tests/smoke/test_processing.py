"""Smoke tests of `processing`: a few calls, each of which needs another part of it."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import boto3
import httpx
import pytest

from slipway.testing.sign_in import access_token
from slipway.testing.smoke import DeployedService

PATIENCE_SECONDS = 30


class Processing(NamedTuple):
    """The service, and how to call it."""

    outputs: dict[str, str]
    http: httpx.Client

    def call(self, method: str, path: str, token: str | None = None, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, headers=headers, **content)


@pytest.fixture(scope="module")
def processing(deployed: DeployedService) -> Processing:
    """Return the deployed service `processing`."""
    return Processing(deployed.outputs, deployed.http)


@pytest.fixture(scope="module")
def token(processing: Processing) -> str:
    """Return a token of the test user, if the environment has one."""
    if "TestUserSecretArn" not in processing.outputs:
        pytest.skip("the environment has no test user")
    region = processing.outputs["TableArn"].split(":")[3]
    return access_token(boto3.Session(region_name=region).client, processing.outputs)


def test_the_service_is_healthy(processing: Processing) -> None:
    response = processing.http.get(processing.outputs["HealthEndpoint"])
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "validate"), ("POST", "process"), ("GET", "process/x"), ("GET", "results")]
)
def test_requests_without_a_token_are_refused(processing: Processing, method: str, path: str) -> None:
    assert processing.call(method, path).status_code == 401
    assert processing.call(method, path, "no-token").status_code == 401


def test_every_invalid_value_is_named(processing: Processing, token: str) -> None:
    response = processing.call("POST", "validate", token, json={"data": [], "more": 1})
    assert response.status_code == 400, response.text
    assert [error["field"] for error in response.json()["errors"]] == ["/data", "/more"]


@pytest.mark.writes
def test_data_is_validated_and_processed(processing: Processing, token: str) -> None:
    # When data is validated, and then submitted
    data = {"data": {"greeting": "grüße", "to": ["all"]}}
    validated = processing.call("POST", "validate", token, json=data)
    assert validated.status_code == 200, validated.text
    accepted = processing.call("POST", "process", token, json=data)
    assert accepted.status_code == 202, accepted.text
    # Then its result becomes available
    path = accepted.headers["Location"].removeprefix("/")
    end = time.monotonic() + PATIENCE_SECONDS
    while (job := processing.call("GET", path, token).json())["status"] == "pending" and time.monotonic() < end:
        time.sleep(0.2)
    assert job["status"] == "processed"
    assert job["result"] == {"greeting": "GRÜSSE", "to": ["ALL"]}


@pytest.mark.writes
def test_a_file_is_uploaded(processing: Processing, token: str) -> None:
    form = processing.call("POST", "uploads", token, json={"content_type": "text/plain"})
    assert form.status_code == 200, form.text
    upload = form.json()
    file = {"file": ("smoke.txt", b"smoke test", "text/plain")}
    assert processing.http.post(upload["url"], data=upload["fields"], files=file).status_code == 204
