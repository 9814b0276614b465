"""`processing` on the emulator: real tokens, real roles, over HTTPS."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from slipway.emulator.environment import Outputs
from slipway.testing.contract.callers import PoolUsers
from slipway.testing.sign_in import access_token


@dataclass(frozen=True)
class Deployed:
    """What the tests work with: the service's outputs, and clients of the account's root."""

    outputs: dict[str, str]
    http: httpx.Client
    session: Callable[..., boto3.Session]

    def client(self, service: Any) -> Any:
        return self.session().client(service)

    def call(self, method: str, path: str, token: str | None, **content: Any) -> httpx.Response:
        headers = content.pop("headers", {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        return self.http.request(method, self.outputs["ApiEndpoint"] + path, headers=headers, **content)

    def finished(self, path: str, token: str, *, seconds: float = 60) -> dict[str, Any]:
        """A job once it is no longer pending."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job: dict[str, Any] = self.call("GET", path.removeprefix("/"), token).json()
            if job["status"] != "pending":
                return job
            time.sleep(0.05)
        raise AssertionError(f"{path} is still pending after {seconds} s")

    def written(self) -> tuple[int, int]:
        """Records in the table, and objects in the bucket, once no job is at work: its result would be one more."""
        self.settle()
        table = self.client("dynamodb").scan(TableName=self.outputs["TableName"], Select="COUNT", ConsistentRead=True)
        objects = self.client("s3").list_objects_v2(Bucket=self.outputs["BucketName"])
        return table["Count"], objects["KeyCount"]

    def settle(self, *, seconds: float = 60) -> None:
        """Wait until no job is pending, whoever sent it."""
        end = time.monotonic() + seconds
        pending = {
            "TableName": self.outputs["TableName"],
            "FilterExpression": "#status = :pending",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":pending": {"S": "pending"}},
            "ConsistentRead": True,
        }
        while self.client("dynamodb").scan(**pending)["Items"]:
            assert time.monotonic() < end, f"jobs are still pending after {seconds} s"
            time.sleep(0.05)

    def signed_in(self) -> dict[str, str]:
        """What a new user's sign-in gives: AccessToken, IdToken, RefreshToken."""
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
    # Given the user that the deployment made
    token = access_token(processing.client, processing.outputs)
    # Then its token opens the API
    assert processing.call("GET", "results", token).status_code == 200


@pytest.mark.requirement("processing: validate")
def test_valid_data_is_recorded_as_validated(processing: Deployed, alice: dict[str, str]) -> None:
    answer = processing.call("POST", "validate", alice["AccessToken"], json={"data": {"a": [1, "ß", None]}})
    assert answer.status_code == 200
    assert answer.json()["status"] == "validated"
    listed = processing.call("GET", "results?status=validated", alice["AccessToken"]).json()["results"]
    assert answer.json() in listed


@pytest.mark.requirement("processing: process")
def test_job_converts_strings_to_upper_case_only(processing: Deployed, alice: dict[str, str]) -> None:
    # Given data with strings at several depths, exact numbers, and keys in lower case
    body = '{"data": {"straße": "straße", "deep": [{"e": "e\\u0301"}, ["x", 0.1, 12345678901234567890.5]], "n": null}}'
    # When it is processed
    accepted = processing.call(
        "POST", "process", alice["AccessToken"], content=body.encode(), headers={"Content-Type": "application/json"}
    )
    assert accepted.status_code == 202
    job = processing.finished(accepted.headers["Location"], alice["AccessToken"])
    # Then the result is there, in the API, in the bucket, and in the index
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


def test_a_key_is_one_job_for_its_caller(processing: Deployed, alice: dict[str, str], bob: dict[str, str]) -> None:
    # Given a key that both use
    headers = {"Idempotency-Key": uuid4().hex}

    def post(token: str, word: str) -> httpx.Response:
        return processing.call("POST", "process", token, json={"data": {"word": word}}, headers=headers)

    # When one asks twice, and the other asks once
    first, again = post(alice["AccessToken"], "a"), post(alice["AccessToken"], "a")
    others = post(bob["AccessToken"], "b")
    # Then there is a job for each, and other data under the key is refused
    assert first.headers["Location"] == again.headers["Location"] != others.headers["Location"]
    assert processing.finished(others.headers["Location"], bob["AccessToken"])["result"] == {"word": "B"}
    assert processing.finished(first.headers["Location"], alice["AccessToken"])["result"] == {"word": "A"}
    assert post(alice["AccessToken"], "c").status_code == 422


class TestOwnership:
    @pytest.mark.requirement("processing: process")
    def test_nobody_reads_anothers_job(self, processing: Deployed, alice: dict[str, str], bob: dict[str, str]) -> None:
        # Given a job of one user
        accepted = processing.call("POST", "process", alice["AccessToken"], json={"data": {"secret": "s"}})
        path = accepted.headers["Location"]
        processing.finished(path, alice["AccessToken"])
        # When another asks for it
        answer = processing.call("GET", path.removeprefix("/"), bob["AccessToken"])
        # Then it is as if there were none
        nothing = processing.call("GET", f"process/{uuid4()}", bob["AccessToken"])
        assert answer.status_code == nothing.status_code == 404
        differing = ("instance", "request_id")
        assert {k: v for k, v in answer.json().items() if k not in differing} == {
            k: v for k, v in nothing.json().items() if k not in differing
        }

    @pytest.mark.requirement("processing: process")
    @pytest.mark.parametrize("status", ["validated", "pending", "processed"])
    def test_nobody_lists_anothers_records(
        self, processing: Deployed, alice: dict[str, str], bob: dict[str, str], status: str
    ) -> None:
        # Given records of both
        for token in (alice["AccessToken"], bob["AccessToken"]):
            for _ in range(3):
                processing.call("POST", "validate", token, json={"data": {}})
        ids = {}
        for name, token in (("alice", alice["AccessToken"]), ("bob", bob["AccessToken"])):
            page = processing.call("GET", f"results?limit=100&status={status}", token).json()
            ids[name] = {record["id"] for record in page["results"]}
        assert not ids["alice"] & ids["bob"]

    def test_anothers_cursor_leads_nowhere_else(
        self, processing: Deployed, alice: dict[str, str], bob: dict[str, str]
    ) -> None:
        # Given a cursor that one user was given
        for _ in range(3):
            processing.call("POST", "validate", alice["AccessToken"], json={"data": {}})
        page = processing.call("GET", "results?status=validated&limit=1", alice["AccessToken"]).json()
        cursor = page["next_cursor"]
        assert cursor
        # When both go on with it
        query = f"results?status=validated&limit=100&cursor={cursor}"
        own = processing.call("GET", query, alice["AccessToken"]).json()["results"]
        foreign = processing.call("GET", query, bob["AccessToken"]).json()["results"]
        # Then each sees records of their own
        assert own
        assert not {record["id"] for record in own} & {record["id"] for record in foreign}

    @pytest.mark.requirement("processing: uploads")
    def test_uploads_are_under_ones_own_prefix(self, processing: Deployed, alice: dict[str, str]) -> None:
        subject = processing.client("cognito-idp").get_user(AccessToken=alice["AccessToken"])
        sub = next(entry["Value"] for entry in subject["UserAttributes"] if entry["Name"] == "sub")
        form = processing.call("POST", "uploads", alice["AccessToken"], json={"content_type": "text/plain"}).json()
        assert form["key"] == f"uploads/{sub}/{form['id']}"


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
    def test_the_form_takes_the_file(self, processing: Deployed, form: dict[str, Any]) -> None:
        assert self.post(processing, form) == 204
        stored = processing.client("s3").get_object(Bucket=processing.outputs["BucketName"], Key=form["key"])
        assert stored["Body"].read() == b"hello"

    @pytest.mark.requirement("processing: uploads")
    def test_no_other_place_type_or_size(self, processing: Deployed, form: dict[str, Any]) -> None:
        before = processing.written()
        assert self.post(processing, form, change={"key": "uploads/else/where"}) == 403
        assert self.post(processing, form, change={"Content-Type": "text/html"}) == 403
        assert self.post(processing, form, b"x" * (form["max_bytes"] + 1)) == 400
        assert self.post(processing, form, b"") == 400
        assert processing.written() == before

    @pytest.mark.requirement("processing: uploads")
    def test_the_largest_size_is_taken(self, processing: Deployed, form: dict[str, Any]) -> None:
        assert self.post(processing, form, b"x" * form["max_bytes"]) == 204


@pytest.mark.requirement("processing: validate")
@pytest.mark.parametrize("path", ["validate", "process"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"a": 1, "a": 2}', id="a key twice"),
        pytest.param(b'{"\\udfff": 1}', id="half a surrogate in a key"),
        pytest.param(b'{"a":' * 21 + b"1" + b"}" * 21, id="too deep"),
    ],
)
def test_bad_data_is_refused_and_nothing_is_written(
    processing: Deployed, alice: dict[str, str], path: str, data: bytes
) -> None:
    before = processing.written()
    headers = {"Content-Type": "application/json"}
    answer = processing.call("POST", path, alice["AccessToken"], content=b'{"data": %s}' % data, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"]
    assert processing.written() == before


def test_bodies_up_to_the_limit_are_accepted(processing: Deployed, alice: dict[str, str]) -> None:
    def post(size: int) -> httpx.Response:
        frame = len('{"data":{"a":""}}')
        body = f'{{"data":{{"a":"{"ß" * ((size - frame) // 2)}{"x" * ((size - frame) % 2)}"}}}}'.encode()
        assert len(body) == size
        headers = {"Content-Type": "application/json"}
        return processing.call("POST", "process", alice["AccessToken"], content=body, headers=headers)

    accepted = post(256 * 1024)
    assert accepted.status_code == 202
    job = processing.finished(accepted.headers["Location"], alice["AccessToken"])
    assert job["result"]["a"].startswith("SSSS")
    assert post(256 * 1024 + 1).status_code == 413
    assert post(3 * 1024 * 1024).status_code == 413


class TestWorker:
    def invoke(self, processing: Deployed, event: Any) -> tuple[str | None, Any]:
        answer = processing.client("lambda").invoke(
            FunctionName=processing.outputs["WorkerFunctionArn"], Payload=json.dumps(event).encode()
        )
        return answer.get("FunctionError"), json.loads(answer["Payload"].read())

    @pytest.mark.requirement("processing: process")
    def test_a_job_that_comes_again_has_no_further_effect(self, processing: Deployed, alice: dict[str, str]) -> None:
        # Given a job that is done
        token = alice["AccessToken"]
        accepted = processing.call("POST", "process", token, json={"data": {"a": "b"}})
        job = processing.finished(accepted.headers["Location"], token)
        owner = _subject(processing, token)
        # When it comes again, even with other data
        event = {"owner": owner, "id": job["id"], "data": '{"a":"other"}'}
        assert self.invoke(processing, event) == (None, {"outcome": "done before"})
        # Then it is as it was
        assert processing.finished(accepted.headers["Location"], token) == job

    @pytest.mark.parametrize(
        "event",
        [None, {"Records": []}, {"owner": "o", "id": 1, "data": "{}"}],
        ids=json.dumps,
    )
    def test_a_message_that_is_not_ours_fails_and_writes_nothing(self, processing: Deployed, event: Any) -> None:
        before = processing.written()
        failure, answer = self.invoke(processing, event)
        assert failure == "Unhandled"
        assert "ForeignMessageError" in answer["errorMessage"]
        assert processing.written() == before

    def test_nothing_is_written_for_a_job_that_nobody_accepted(self, processing: Deployed) -> None:
        before = processing.written()
        event = {"owner": "nobody", "id": str(uuid4()), "data": '{"a":"b"}'}
        assert self.invoke(processing, event) == (None, {"outcome": "unknown"})
        assert processing.written() == before


def _subject(processing: Deployed, token: str) -> str:
    user = processing.client("cognito-idp").get_user(AccessToken=token)
    return str(next(entry["Value"] for entry in user["UserAttributes"] if entry["Name"] == "sub"))
