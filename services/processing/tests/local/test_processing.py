"""`processing` on the emulator: real tokens, real roles, over HTTPS."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from slipway.emulator.environment import Outputs
from slipway.testing.contract.callers import PoolUsers
from slipway.testing.emulated import until
from slipway.testing.sign_in import access_token


@dataclass(frozen=True)
class Deployed:
    """The service's outputs, and clients of the account's root."""

    outputs: dict[str, str]
    http: httpx.Client
    session: Callable[..., boto3.Session]

    def client(self, service: Any) -> Any:
        return self.session().client(service)

    def call(self, method: str, path: str, token: str | None, **content: Any) -> httpx.Response:
        headers = content.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, headers=headers, **content)

    def finished(self, path: str, token: str) -> dict[str, Any]:
        """Return a job once it is no longer pending."""

        def job() -> dict[str, Any] | None:
            found: dict[str, Any] = self.call("GET", path.removeprefix("/"), token).json()
            return found if found["status"] != "pending" else None

        return until(job)

    def uploaded(self) -> int:
        """Return the number of uploaded files."""
        bucket = self.outputs["BucketName"]
        return int(self.client("s3").list_objects_v2(Bucket=bucket, Prefix="uploads/")["KeyCount"])

    def signed_in(self) -> dict[str, str]:
        """Sign in a new user, and return AccessToken, IdToken and RefreshToken."""
        pool = PoolUsers(self.client("cognito-idp"), self.outputs["UserPoolId"])
        return pool.tokens(pool.user(), self.outputs["UserPoolClientId"])


@pytest.fixture(scope="module")
def processing(outputs: Outputs, http: httpx.Client, session: Callable[..., boto3.Session]) -> Deployed:
    return Deployed(outputs["processing"], http, session)


@pytest.fixture(scope="module")
def alice(processing: Deployed) -> dict[str, str]:
    return processing.signed_in()


@pytest.fixture(scope="module")
def bob(processing: Deployed) -> dict[str, str]:
    return processing.signed_in()


@pytest.mark.requirement("processing: users")
def test_the_test_user_signs_in_with_the_generated_password(processing: Deployed) -> None:
    # Given the user that the deployment created
    token = access_token(processing.client, processing.outputs)
    # Then its token is accepted by the API
    assert processing.call("GET", "results", token).status_code == 200


@pytest.mark.requirement("processing: process")
def test_job_converts_strings_to_upper_case_only(processing: Deployed, alice: dict[str, str]) -> None:
    # Given data with strings at several depths, exact numbers, and lower-case keys
    body = '{"data": {"straße": "straße", "deep": [{"e": "e\\u0301"}, ["x", 0.1, 12345678901234567890.5]], "n": null}}'
    # When it is processed
    accepted = processing.call(
        "POST", "process", alice["AccessToken"], content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert accepted.status_code == 202
    job = processing.finished(accepted.headers["Location"], alice["AccessToken"])
    # Then the result is in the API, in the bucket and in the index
    assert job["status"] == "processed"
    expected = {"straße": "STRASSE", "deep": [{"e": "E\u0301"}, ["X", 0.1, 12345678901234567890.5]], "n": None}
    assert job["result"] == expected
    stored = processing.client("s3").get_object(
        Bucket=processing.outputs["BucketName"], Key=f"processed/{job['id']}.json"
    )
    text = stored["Body"].read().decode()
    assert json.loads(text) == expected
    assert "12345678901234567890.5" in text
    listed = processing.call("GET", "results", alice["AccessToken"]).json()["results"]
    assert job["id"] in [record["id"] for record in listed]


@pytest.mark.requirement("processing: process")
def test_nobody_reads_anothers_job(processing: Deployed, alice: dict[str, str], bob: dict[str, str]) -> None:
    # Given a job of one user
    accepted = processing.call("POST", "process", alice["AccessToken"], json={"data": {"secret": "s"}})
    path = accepted.headers["Location"]
    processing.finished(path, alice["AccessToken"])
    # When another user requests it
    answer = processing.call("GET", path.removeprefix("/"), bob["AccessToken"])
    # Then the answer is the same as for a missing job
    nothing = processing.call("GET", f"process/{uuid4()}", bob["AccessToken"])
    assert answer.status_code == nothing.status_code == 404
    differing = ("instance", "request_id")
    assert {k: v for k, v in answer.json().items() if k not in differing} == {
        k: v for k, v in nothing.json().items() if k not in differing
    }


class TestUploads:
    @pytest.fixture
    def form(self, processing: Deployed, alice: dict[str, str]) -> dict[str, Any]:
        answer = processing.call("POST", "uploads", alice["AccessToken"], json={"content_type": "text/plain"})
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    def post(
        self,
        processing: Deployed,
        form: dict[str, Any],
        content: bytes = b"hello",
        *,
        change: dict[str, str] | None = None,
    ) -> int:
        file = {"file": ("name", content, "text/plain")}
        return processing.http.post(form["url"], data=form["fields"] | (change or {}), files=file).status_code

    @pytest.mark.requirement("processing: uploads")
    def test_the_form_uploads_the_file(self, processing: Deployed, form: dict[str, Any]) -> None:
        assert self.post(processing, form) == 204
        stored = processing.client("s3").get_object(Bucket=processing.outputs["BucketName"], Key=form["key"])
        assert stored["Body"].read() == b"hello"

    @pytest.mark.requirement("processing: uploads")
    def test_no_other_key_type_or_size_is_accepted(self, processing: Deployed, form: dict[str, Any]) -> None:
        before = processing.uploaded()
        assert self.post(processing, form, change={"key": "uploads/else/where"}) == 403
        assert self.post(processing, form, change={"Content-Type": "text/html"}) == 403
        assert self.post(processing, form, b"x" * (form["max_bytes"] + 1)) == 400
        assert self.post(processing, form, b"") == 400
        assert processing.uploaded() == before

    @pytest.mark.requirement("processing: uploads")
    def test_the_largest_size_is_accepted(self, processing: Deployed, form: dict[str, Any]) -> None:
        assert self.post(processing, form, b"x" * form["max_bytes"]) == 204
