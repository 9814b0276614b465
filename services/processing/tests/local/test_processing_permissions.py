"""Exercise all that the roles of `processing` are for; `make permissions` runs this without each permission in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from services.processing.runtime.model import Record, Status, digest_of
from services.processing.runtime.storage import DynamoDBRecordStorage, S3ResultStorage
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.emulated import Invoke
from slipway.testing.sign_in import access_token
from slipway_runtime.clock import instant

pytestmark = pytest.mark.requirement("functions")

API, WORKER, TEST_USER = "processing/ApiFunction", "processing/WorkerFunction", "processing/TestUser/Function"


@pytest.fixture
def values(outputs: Outputs) -> dict[str, str]:
    return outputs["processing"]


@pytest.fixture
def records(session: Callable[..., boto3.Session], values: dict[str, str]) -> DynamoDBRecordStorage:
    """Return the records as the account's root accesses them."""
    return DynamoDBRecordStorage(session().client("dynamodb"), values["TableName"])


def pending(records: DynamoDBRecordStorage, owner: str) -> Record:
    """Create a job that was not passed to the worker."""
    moment = datetime.now(UTC)
    record = Record(
        id=str(uuid4()),
        owner=owner,
        status=Status.PENDING,
        created_at=instant(moment),
        updated_at=instant(moment),
        digest=digest_of("{}"),
        expires_at=int(moment.timestamp()) + 3600,
    )
    assert records.create(record, now=int(moment.timestamp())) is None
    return record


@pytest.fixture
def owner(session: Callable[..., boto3.Session], values: dict[str, str]) -> str:
    """The test user, as records name it."""
    user = session().client("cognito-idp").admin_get_user(UserPoolId=values["UserPoolId"], Username="test-user")
    (found,) = (entry["Value"] for entry in user["UserAttributes"] if entry["Name"] == "sub")
    return str(found)


@pytest.fixture
def call(
    http: httpx.Client, session: Callable[..., boto3.Session], values: dict[str, str]
) -> Callable[..., httpx.Response]:
    """Return a function that sends a request of the test user."""
    token = access_token(session().client, values)

    def send(method: str, path: str, **content: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return http.request(method, values["ApiEndpoint"] + path, headers=headers, **content)

    return send


@pytest.mark.exercises(API)
@pytest.mark.requirement("processing: validate")
def test_the_api_records_starts_and_lists_jobs(call: Callable[..., httpx.Response]) -> None:
    validated = call("POST", "validate", json={"data": {"a": "b"}})
    accepted = call("POST", "process", json={"data": {"a": "b"}})
    listed = call("GET", "results?status=validated")
    assert [answer.status_code for answer in (validated, accepted, listed)] == [200, 202, 200]
    assert validated.json() in listed.json()["results"]
    assert call("GET", accepted.headers["Location"].removeprefix("/")).status_code == 200


@pytest.mark.exercises(API)
def test_the_api_returns_a_result(
    call: Callable[..., httpx.Response],
    session: Callable[..., boto3.Session],
    records: DynamoDBRecordStorage,
    values: dict[str, str],
    owner: str,
) -> None:
    # Given a completed job
    job = pending(records, owner)
    S3ResultStorage(session().client("s3"), values["BucketName"]).put(job.id, '{"a":"B"}')
    records.complete(owner, job.id, updated_at=job.created_at)
    # When its result is requested
    answer = call("GET", f"process/{job.id}")
    # Then it is returned
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"] == {"a": "B"}


@pytest.mark.exercises(API)
def test_the_api_reports_a_lost_result(
    call: Callable[..., httpx.Response], records: DynamoDBRecordStorage, owner: str
) -> None:
    # Given a completed job whose result is lost
    job = pending(records, owner)
    records.complete(owner, job.id, updated_at=job.created_at)
    # When it is requested
    answer = call("GET", f"process/{job.id}")
    # Then it is reported as failed, not as temporarily unavailable
    assert (answer.status_code, answer.json()["status"]) == (200, "failed"), answer.text


@pytest.mark.exercises(API)
def test_a_form_of_the_api_uploads_a_file(call: Callable[..., httpx.Response], http: httpx.Client) -> None:
    form = call("POST", "uploads", json={"content_type": "text/plain"}).json()
    file = {"file": ("name", b"hello", "text/plain")}
    assert http.post(form["url"], data=form["fields"], files=file).status_code == 204


@pytest.mark.exercises(WORKER)
def test_the_worker_processes_a_job(
    session: Callable[..., boto3.Session], invoke: Invoke, records: DynamoDBRecordStorage, values: dict[str, str]
) -> None:
    job = pending(records, "somebody")
    event = {"owner": job.owner, "id": job.id, "data": '{"a":"b"}'}
    assert invoke(values["WorkerFunctionArn"], event) == {"outcome": "done"}
    assert S3ResultStorage(session().client("s3"), values["BucketName"]).get(job.id) == '{"a":"B"}'
    now = int(time.time())
    done = records.get(job.owner, job.id, now=now)
    assert done is not None
    assert done.status is Status.PROCESSED


@pytest.mark.exercises(TEST_USER)
def test_the_test_user_is_created_and_deleted(
    local: LocalEnvironment, session: Callable[..., boto3.Session], invoke: Invoke, values: dict[str, str]
) -> None:
    # Given a bucket where CloudFormation would read the answer, without TLS since functions only trust AWS's
    # certificates
    s3 = session().client("s3", endpoint_url=f"http://localhost:{local.emulator.plain_port}")
    bucket, key = f"answers-{uuid4()}", "answer"
    s3.create_bucket(Bucket=bucket)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key})

    def ask(request_type: str) -> dict[str, Any]:
        event = {
            "RequestType": request_type,
            "ResponseURL": url,
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "user",
            "PhysicalResourceId": f"{values['UserPoolId']}/test-user",
            "ResourceProperties": {"UserPoolId": values["UserPoolId"], "SecretArn": values["TestUserSecretArn"]},
        }
        invoke(values["TestUserFunctionArn"], event)
        answer: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return answer

    # When the user is deleted and created again
    for request_type in ("Delete", "Create"):
        answer = ask(request_type)
        assert answer["Status"] == "SUCCESS", answer
    # Then it can sign in
    assert access_token(session().client, values)
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_bucket(Bucket=bucket)
