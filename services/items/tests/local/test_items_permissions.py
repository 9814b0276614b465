"""Exercise everything that the roles of `items` are for; `make permissions` runs this without each permission in turn.

Tests do not wait for events such as a stream's record: they pass it to the function, and check its answer immediately.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from services.items.tests.local.items import closed_bucket, create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.contract.roles import arrives, messages
from slipway.testing.emulated import Invoke, Request, refusals, until
from slipway.testing.functions import NO_FAILURES

pytestmark = pytest.mark.requirement("functions")

API, STREAM, ROTATION = "items/ApiFunction", "items/StreamFunction", "items/Rotation"


@pytest.fixture
def values(outputs: Outputs) -> dict[str, str]:
    return outputs["items"]


@pytest.fixture
def dynamodb(session: Callable[..., boto3.Session]) -> DynamoDBClient:
    return session().client("dynamodb")


@pytest.mark.exercises(API)
def test_the_api_reads_lists_replaces_and_deletes(signed: Request, edge: Request, unsigned: Request) -> None:
    # Given two items with a status of their own
    status = f"s{uuid4().hex[:16]}"
    items = [create(signed, status=status) for _ in range(2)]
    path = f"/items/{items[0]['id']}"
    # When they are read in every way
    read = edge("GET", path)
    first = edge("GET", "/items", params={"status": status, "limit": 1})
    rest = edge("GET", "/items", params={"status": status, "cursor": first.json().get("next_cursor", "")})
    listed = edge("GET", "/items", params={"limit": 100})
    health = unsigned("GET", "/health")
    replaced = signed("PUT", path, json={"name": "pot", "status": status}, headers={"If-Match": '"1"'})
    deleted = signed("DELETE", path, headers={"If-Match": '"2"'})
    # Then every answer is complete
    answers = (read, first, rest, listed, health, replaced, deleted)
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 200, 200, 204]
    assert read.json() == items[0]
    assert first.json()["items"] + rest.json()["items"] == items[::-1]
    assert items[0] in listed.json()["items"]
    assert signed("DELETE", f"/items/{items[1]['id']}", headers={"If-Match": '"1"'}).status_code == 204


@pytest.mark.exercises(API)
def test_api_releases_key_if_creation_fails(signed: Request, dynamodb: DynamoDBClient, values: dict[str, str]) -> None:
    # Given an item created with a key, whose record is lost
    key = {"Idempotency-Key": uuid4().hex}
    item = signed("POST", "/items", json={"name": "kettle"}, headers=key).json()
    _forget(dynamodb, values["IdempotencyTableName"], item["id"])
    # When the key is used for another item, and its creation is refused
    other = signed("POST", "/items", json={"name": "teapot"}, headers=key)
    assert other.status_code == 422, other.text
    # Then the first request can be repeated
    again = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    assert again.status_code == 201, again.text
    assert again.json() == item


def _forget(dynamodb: DynamoDBClient, table: str, item_id: str) -> None:
    records = dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]
    (record,) = (record for record in records if item_id in record.get("data", {}).get("S", ""))
    dynamodb.delete_item(TableName=table, Key={"id": record["id"]})


@pytest.fixture
def creation(signed: Request, dynamodb: DynamoDBClient, values: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a batch with an item's creation that no stream has delivered: a copy with another id."""
    item = create(signed)
    image = dynamodb.get_item(TableName=values["TableName"], Key={"id": {"S": item["id"]}})["Item"]
    image["id"] = {"S": str(uuid4())}
    record = {
        "eventID": uuid4().hex,
        "eventName": "INSERT",
        "eventSource": "aws:dynamodb",
        "dynamodb": {"Keys": {"id": image["id"]}, "NewImage": image, "SequenceNumber": "1"},
    }
    yield {"Records": [record]}
    assert signed("DELETE", f"/items/{item['id']}", headers={"If-Match": '"1"'}).status_code == 204


@pytest.mark.exercises(STREAM)
def test_the_stream_function_follows_a_creation_once(
    session: Callable[..., boto3.Session], invoke: Invoke, creation: dict[str, Any], values: dict[str, str]
) -> None:
    # When a creation arrives twice
    for _ in range(2):
        assert invoke(values["StreamFunctionArn"], creation) == NO_FAILURES
    # Then its object exists
    item_id = creation["Records"][0]["dynamodb"]["Keys"]["id"]["S"]
    key = f"items/{item_id}/metadata.json"
    stored = session().client("s3").head_object(Bucket=values["BucketName"], Key=key)
    assert stored["ContentType"] == "application/json"


@pytest.mark.exercises(STREAM)
def test_the_stream_function_retries_failed_records(
    session: Callable[..., boto3.Session],
    invoke: Invoke,
    creation: dict[str, Any],
    dynamodb: DynamoDBClient,
    values: dict[str, str],
) -> None:
    # Given a creation that cannot be followed, because the bucket denies access to its object
    item_id = creation["Records"][0]["dynamodb"]["Keys"]["id"]["S"]
    before = _in_progress(dynamodb, values)
    with (
        closed_bucket(session(), values["BucketName"], f"items/{item_id}/"),
        pytest.raises(AssertionError, match="1 of 1 records failed"),
    ):
        invoke(values["StreamFunctionArn"], creation)
    # Then no record says that it is in progress, except those of the stream's own invocations
    until(lambda: _in_progress(dynamodb, values) <= before)


def _in_progress(dynamodb: DynamoDBClient, values: dict[str, str]) -> set[str]:
    """Return the ids that are in progress, or were left in that state."""
    records = dynamodb.scan(TableName=values["IdempotencyTableName"], ConsistentRead=True)["Items"]
    return {record["id"]["S"] for record in records if record["status"] == {"S": "INPROGRESS"}}


@pytest.mark.exercises(ROTATION)
def test_the_rotation_function_carries_out_each_step(
    session: Callable[..., boto3.Session], values: dict[str, str]
) -> None:
    secrets, arn = session().client("secretsmanager"), values["CursorSecretArn"]
    function, began = values["RotationFunctionArn"].split(":")[6], time.time()
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    # Given that no version of an earlier rotation is pending, since the rotation would continue with it
    for version, stages in secrets.describe_secret(SecretId=arn)["VersionIdsToStages"].items():
        if "AWSPENDING" in stages:
            secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=version)
    # When the secret is rotated
    token = secrets.rotate_secret(SecretId=arn, RotationLambdaARN=values["RotationFunctionArn"])["VersionId"]

    def rotated() -> bool:
        return "AWSCURRENT" in secrets.describe_secret(SecretId=arn)["VersionIdsToStages"][token]

    # Then the new version is current
    until(lambda: rotated() or refusals(session(), function, since=began), 30)
    logged = session().client("logs").filter_log_events
    group = session().client("lambda").get_function_configuration(FunctionName=function)["LoggingConfig"]["LogGroup"]
    assert rotated(), logged(logGroupName=group, startTime=int(began * 1000))["events"]
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] != before


@pytest.mark.exercises(STREAM)
def test_a_stream_is_read_and_its_failures_are_forwarded(
    session: Callable[..., boto3.Session],
    local: LocalEnvironment,
    signed: Request,
    function_names: dict[str, str],
    values: dict[str, str],
) -> None:
    root, began = session(), time.time()
    function = function_names[STREAM]
    functions = root.client("lambda")
    (mapping,) = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    retries = mapping["MaximumRetryAttempts"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=0)
    queue = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    try:
        # Given creations that cannot be followed
        with closed_bucket(root, values["BucketName"], "items/"):
            # When one arrives through the stream
            create(signed)

            def letter() -> dict[str, Any] | None:
                since = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                letters = (each for each in messages(root, queue) if "DDBStreamBatchInfo" in each)
                return next((each for each in letters if each["timestamp"] >= since), None)

            # Then the dead letters have the information about its batch
            found = arrives(letter, root, function, since=began)
            assert found, refusals(root, function, since=began)
            assert found["requestContext"]["condition"] == "RetryAttemptsExhausted"
            assert found["DDBStreamBatchInfo"]["streamArn"] == mapping["EventSourceArn"]
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=retries)
        local.emulator.recycle(function)
