"""Smoke tests of `processing`: a few calls, each of which needs another part of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest

from slipway.testing.sign_in import access_token
from slipway.testing.smoke import DeployedService

PATIENCE_SECONDS = 30


Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def call(deployed: DeployedService) -> Call:
    """Return a function that sends a request to the API, with a token if it is given one."""

    def send(method: str, path: str, token: str | None = None, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return deployed.unsigned(method, path, headers=headers, **content)

    return send


@pytest.fixture(scope="module")
def token(deployed: DeployedService) -> str:
    """Return a token of the test user, if the environment has one."""
    if "TestUserSecretArn" not in deployed.outputs:
        pytest.skip("the environment has no test user")
    return access_token(boto3.Session(region_name=deployed.region).client, deployed.outputs)


def test_the_service_is_healthy(deployed: DeployedService) -> None:
    response = deployed.http.get(deployed.outputs["HealthEndpoint"])
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "ok"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "validate"), ("POST", "process"), ("GET", "process/x"), ("GET", "results")]
)
def test_requests_without_a_token_are_refused(call: Call, method: str, path: str) -> None:
    assert call(method, path).status_code == 401
    assert call(method, path, "no-token").status_code == 401


def test_every_invalid_value_is_named(call: Call, token: str) -> None:
    response = call("POST", "validate", token, json={"data": [], "more": 1})
    assert response.status_code == 400, response.text
    assert [error["field"] for error in response.json()["errors"]] == ["/data", "/more"]


@pytest.mark.writes
def test_data_is_validated_and_processed(call: Call, token: str) -> None:
    # When data is validated, and then submitted
    data = {"data": {"greeting": "grüße", "to": ["all"]}}
    validated = call("POST", "validate", token, json=data)
    assert validated.status_code == 200, validated.text
    accepted = call("POST", "process", token, json=data)
    assert accepted.status_code == 202, accepted.text
    # Then its result becomes available
    path = accepted.headers["Location"].removeprefix("/")
    end = time.monotonic() + PATIENCE_SECONDS
    while (job := call("GET", path, token).json())["status"] == "pending" and time.monotonic() < end:
        time.sleep(0.2)
    assert job["status"] == "processed"
    assert job["result"] == {"greeting": "GRÜSSE", "to": ["ALL"]}


@pytest.mark.writes
def test_a_file_is_uploaded(deployed: DeployedService, call: Call, token: str) -> None:
    form = call("POST", "uploads", token, json={"content_type": "text/plain"})
    assert form.status_code == 200, form.text
    upload = form.json()
    file = {"file": ("smoke.txt", b"smoke test", "text/plain")}
    assert deployed.http.post(upload["url"], data=upload["fields"], files=file).status_code == 204
