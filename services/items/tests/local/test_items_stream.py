"""The effects of a creation happen once, however often the function is killed."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import boto3
import psutil
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.emulated import Request, until

CRASHES = 5


@dataclass(frozen=True)
class Followed:
    """The effects of creations: objects in the bucket, and messages in a queue subscribed to the topic."""

    session: boto3.Session
    outputs: dict[str, str]
    queue_url: str

    def metadata(self, item_id: str) -> list[str]:
        """Return the keys of the item's objects."""
        listed = self.session.client("s3").list_objects_v2(Bucket=self.outputs["BucketName"], Prefix=f"items/{item_id}")
        return [found["Key"] for found in listed.get("Contents", [])]

    def messages(self) -> list[dict[str, Any]]:
        """Receive and delete the messages that are in the queue."""
        sqs = self.session.client("sqs")
        found = []
        while received := sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages", []):
            for message in received:
                found.append(json.loads(message["Body"]))
                sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])
        return found


@pytest.fixture
def followed(session: Callable[..., boto3.Session], outputs: Outputs) -> Iterator[Followed]:
    root, values = session(), outputs["items"]
    sqs, sns = root.client("sqs"), root.client("sns")
    # The emulator's CloudFormation does not create a FIFO topic, which would deduplicate messages
    sns.set_topic_attributes(TopicArn=values["NotificationTopicArn"], AttributeName="FifoTopic", AttributeValue="true")
    url = sqs.create_queue(QueueName=f"listener-{uuid4().hex[:8]}.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": values["NotificationTopicArn"]}},
        }
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        subscription = sns.subscribe(
            TopicArn=values["NotificationTopicArn"],
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        try:
            yield Followed(root, values, url)
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
    finally:
        sqs.delete_queue(QueueUrl=url)


@pytest.mark.requirement("items: after a creation")
def test_a_creation_stores_metadata_and_publishes_a_message(signed: Request, followed: Followed) -> None:
    # When an item is created, replaced and deleted
    item = create(signed, name="Wasserkocher ☕", data={"secret": "not for others"}, status="new")
    path = f"/items/{item['id']}"
    assert signed("PUT", path, json={"name": "teapot"}, headers={"If-Match": '"1"'}).status_code == 200
    assert signed("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204
    last = create(signed)

    # Then there is one object
    until(lambda: bool(followed.metadata(last["id"])))
    key = f"items/{item['id']}/metadata.json"
    assert followed.metadata(item["id"]) == [key]
    stored = followed.session.client("s3").get_object(Bucket=followed.outputs["BucketName"], Key=key)
    metadata = {name: item[name] for name in ("id", "name", "status", "created_at")}
    assert json.loads(stored["Body"].read()) == metadata
    assert stored["ContentType"] == "application/json"

    # And one message, only for the creation
    told = [message for message in _until(followed, {item["id"], last["id"]}) if message["id"] == item["id"]]
    assert told == [{"event": "ItemCreated", **metadata}]


@pytest.mark.requirement("items: after a creation")
def test_a_crash_in_the_middle_loses_nothing_and_repeats_nothing(
    local: LocalEnvironment, signed: Request, followed: Followed, session: Callable[..., boto3.Session]
) -> None:
    # Given items that are created one after the other
    created: list[dict[str, Any]] = []
    stop = Event()

    def creating() -> None:
        while not stop.is_set():
            created.append(create(signed))
            # About as long as following one creation takes
            time.sleep(0.05)

    # When the function is killed repeatedly while a creation is in progress
    writer = Thread(target=creating)
    writer.start()
    try:
        struck = _kill_in_the_middle(local, session(), followed.outputs)
    finally:
        stop.set()
        writer.join()

    # Then each item has one object and one message
    assert struck == CRASHES
    ids = {item["id"] for item in created}
    told = _until(followed, ids)
    assert Counter(message["id"] for message in told) == Counter(ids)
    by_id = {item["id"]: item for item in created}
    assert all(message["created_at"] == by_id[message["id"]]["created_at"] for message in told)
    for item in created:
        assert followed.metadata(item["id"]) == [f"items/{item['id']}/metadata.json"]


def _kill_in_the_middle(local: LocalEnvironment, root: boto3.Session, outputs: dict[str, str]) -> int:
    """Pause the function at random moments, and kill it if it is between start and end of its work."""
    chance = random.Random(2)
    seen: set[tuple[str, str]] = set()
    end = time.monotonic() + 90
    while len(seen) < CRASHES and time.monotonic() < end:
        time.sleep(chance.uniform(0, 0.03))
        for worker in local.emulator.environments(outputs["StreamFunctionArn"].split(":")[6]):
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
                begun = _in_progress(root, outputs["IdempotencyTableName"])
                if begun - seen:
                    seen |= begun
                    worker.kill()
                else:
                    worker.resume()
    return len(seen)


def _in_progress(root: boto3.Session, table: str) -> set[tuple[str, str]]:
    """Return attempts that have started and not ended, each with its own time."""
    pages = (
        root.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=table,
            FilterExpression="#status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": {"S": "INPROGRESS"}},
            ConsistentRead=True,
        )
    )
    return {(record["id"]["S"], record["in_progress_expiration"]["N"]) for page in pages for record in page["Items"]}


def _until(followed: Followed, ids: set[str]) -> list[dict[str, Any]]:
    """Return the messages once there is one for each of these items, and those that arrive in the moment after."""
    found: list[dict[str, Any]] = []

    def all_told() -> bool:
        found.extend(followed.messages())
        return ids <= {message["id"] for message in found}

    until(all_told, seconds=120)
    time.sleep(1)
    return [message for message in found + followed.messages() if message["id"] in ids]
