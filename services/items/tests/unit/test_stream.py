"""A creation has both of its effects exactly once, despite failures and crashes."""

import json
from typing import Any

import pytest

from services.items.runtime import stream
from services.items.runtime.creations import CreationEffects
from slipway.testing.fakes import MemoryPersistence
from slipway.testing.functions import Context, Counted, client_error
from slipway_runtime.attributes import to_attribute


class Outside:
    """The bucket and the topic. The topic accepts a message id once, as a FIFO topic does within five minutes."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0
        self.messages: dict[str, dict[str, Any]] = {}
        self.publishes = 0
        self.failing: set[str] = set()
        self.crash_after_publish = False

    def put_object(self, **call: Any) -> None:
        if call["Key"].split("/")[1] in self.failing:
            raise client_error("SlowDown", "PutObject")
        assert (call["Bucket"], call["ContentType"]) == ("bucket", "application/json")
        self.puts += 1
        self.objects[call["Key"]] = call["Body"]

    def publish(self, **call: Any) -> None:
        self.publishes += 1
        self.messages.setdefault(call["MessageDeduplicationId"], call)
        if self.crash_after_publish:
            self.crash_after_publish = False
            raise KeyboardInterrupt


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture(autouse=True)
def persistence(outside: Outside) -> MemoryPersistence:
    records = MemoryPersistence()
    stream.bind(
        CreationEffects(
            s3=outside,  # type: ignore[arg-type]
            sns=outside,  # type: ignore[arg-type]
            bucket="bucket",
            topic_arn="topic",
            persistence=records,
        )
    )
    return records


def record(name: str, event_name: str = "INSERT", created_at: str = "2026-01-01T00:00:00.000000Z") -> dict[str, Any]:
    image = {
        "id": name,
        "name": f"Lämpchen {name}",
        "description": "",
        # As a stream writes 1E+60, with more digits than Powertools accepts
        "data": {"big": int("1" + "0" * 60)},
        "status": "draft",
        "created_at": created_at,
        "updated_at": created_at,
        "version": 1,
    }
    return {
        "eventID": name,
        "eventName": event_name,
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": {"id": {"S": name}},
            "NewImage": {key: to_attribute(value) for key, value in image.items()},
            "SequenceNumber": f"sequence-{name}",
            "SizeBytes": 1,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }


def deliver(*records: dict[str, Any]) -> list[str]:
    answer: Any = stream.handler({"Records": list(records)}, Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


@pytest.mark.requirement("items: after a creation")
def test_an_item_s_metadata_is_stored_and_a_message_sent(outside: Outside) -> None:
    assert deliver(record("a")) == []
    metadata = {
        "id": "a",
        "name": "Lämpchen a",
        "status": "draft",
        "created_at": "2026-01-01T00:00:00.000000Z",
    }
    assert {key: json.loads(body) for key, body in outside.objects.items()} == {"items/a/metadata.json": metadata}
    (message,) = outside.messages.values()
    assert json.loads(message["Message"]) == {"event": "ItemCreated"} | metadata
    assert (message["TopicArn"], message["MessageGroupId"]) == ("topic", "a")
    assert len(message["MessageDeduplicationId"]) <= 128


@pytest.mark.requirement("items: after a creation")
def test_a_repeated_creation_does_nothing(outside: Outside) -> None:
    deliver(record("a"))
    assert deliver(record("a")) == []
    assert (outside.puts, outside.publishes) == (1, 1)


@pytest.mark.requirement("items: after a creation")
def test_only_failed_records_are_retried(outside: Outside) -> None:
    # Given three records, one of which fails
    outside.failing = {"b"}
    assert deliver(record("a"), record("b"), record("c")) == ["sequence-b"]
    # When it arrives again with the records after it
    outside.failing = set()
    assert deliver(record("b"), record("c")) == []
    # Then each has its effects once
    assert (outside.puts, outside.publishes) == (3, 3)


def test_batch_that_fails_whole_is_a_function_error(outside: Outside) -> None:
    # Given a bucket and topic that fail for every record
    outside.failing = {"a", "b"}
    # When a batch arrives, then the function fails, so that Lambda's own metric counts it, and its message quotes no
    # data
    with pytest.raises(stream.BatchFailedError, match=r"^2 of 2 records failed$"):
        deliver(record("a"), record("b"))


def test_each_record_that_fails_is_a_fault_of_the_version(outside: Outside, counted: Counted) -> None:
    # Given three records, one of which fails, which is not an error to Lambda
    outside.failing = {"b"}
    deliver(record("a"), record("b"), record("c"))
    # When faults are counted, then it is one, and one more for each repeated failure
    assert len(counted("Faults")) == 1
    deliver(record("b"), record("c"))
    assert len(counted("Faults")) == 1
    # And none when it succeeds
    outside.failing = set()
    deliver(record("b"), record("c"))
    assert counted("Faults") == []


def test_a_record_that_cannot_be_read_is_a_fault_too(outside: Outside, counted: Counted) -> None:
    # Given an image without a member that every item has
    broken = record("b")
    del broken["dynamodb"]["NewImage"]["version"]

    assert deliver(record("a"), broken) == ["sequence-b"]

    assert len(counted("Faults")) == 1
    assert list(outside.objects) == ["items/a/metadata.json"]


@pytest.mark.requirement("items: after a creation")
def test_a_crash_in_the_middle_loses_and_repeats_nothing(outside: Outside, persistence: MemoryPersistence) -> None:
    # Given a process that crashes after publishing, with its record still in progress
    outside.crash_after_publish = True
    with pytest.raises(KeyboardInterrupt):
        deliver(record("a"))
    assert [kept.status for kept in persistence.records.values()] == ["INPROGRESS"]
    # When the stream delivers the creation again immediately
    assert deliver(record("a")) == []
    # Then it is carried out, and the topic accepts the message once
    assert [kept.status for kept in persistence.records.values()] == ["COMPLETED"]
    assert len(outside.objects) == len(outside.messages) == 1


def test_recreated_item_is_a_new_creation(outside: Outside) -> None:
    deliver(record("a"), record("a", created_at="2026-02-02T00:00:00.000000Z"))
    assert len(outside.messages) == 2


@pytest.mark.parametrize("event_name", ["MODIFY", "REMOVE"])
def test_nothing_follows_other_changes(outside: Outside, event_name: str) -> None:
    assert deliver(record("a", event_name)) == []
    assert not outside.objects


def test_an_empty_batch_has_no_failures() -> None:
    assert deliver() == []
