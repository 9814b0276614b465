"""Exercise all that the roles of `ingest` are for; `make permissions` runs this without each permission in turn."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from services.ingest.tests.local.ingest import Caller, lose, plant_job
from slipway.emulator.environment import Outputs
from slipway.testing.behind import Behind
from slipway.testing.contract.roles import arrives
from slipway.testing.emulated import Invoke, refusals, until
from slipway.testing.functions import NO_FAILURES, sqs_event

pytestmark = pytest.mark.requirement("functions")

API, PROCESSOR, WORKER = "ingest/ApiFunction", "ingest/Processor", "ingest/Worker"
LARGE = "x" * 5000
"""Stored in the bucket, since the table takes 4,096 bytes."""
FAILED = {"batchItemFailures": [{"itemIdentifier": "0"}]}


@pytest.fixture
def behind(session: Callable[..., boto3.Session], outputs: Outputs) -> Behind:
    return Behind(session(), outputs["ingest"])


@pytest.fixture
def caller(behind: Behind, http: httpx.Client) -> Caller:
    """Return a separate caller, so that its jobs contain no other test's records."""
    return Caller(http, behind.outputs["ApiEndpoint"], behind.new_key(behind.new_plan()))


@pytest.mark.exercises(API)
def test_the_api_accepts_and_returns_records_and_jobs(caller: Caller) -> None:
    for payload in ("x", LARGE):
        record = caller.send(payload)
        assert caller.read(record["id"]).json()["payload"] == payload
    started = caller.start()
    assert caller.job(started["id"])["id"] == started["id"]


@pytest.mark.exercises(API)
def test_the_api_reports_a_lost_payload(behind: Behind, caller: Caller) -> None:
    record = caller.send(LARGE)
    lose(behind, record["id"])
    answer = caller.read(record["id"])
    assert (answer.status_code, answer.json()["status"]) == (200, "failed"), answer.text


@pytest.mark.exercises(PROCESSOR)
def test_the_processor_plans_a_job_once(behind: Behind, caller: Caller, invoke: Invoke) -> None:
    # Given a job with one record
    record = caller.send("x")
    planned = plant_job(behind, caller)
    text = json.dumps({"job": planned})
    # When its message arrives twice, the second time with an existing plan
    for _ in range(2):
        assert invoke(behind.outputs["ProcessorFunctionArn"], sqs_event([text])) == NO_FAILURES
    # Then it is planned once
    plan = behind.client("s3").get_object(Bucket=behind.outputs["BucketName"], Key=f"jobs/{planned}.json")
    assert json.loads(plan["Body"].read()) == [[record["id"]]]
    until(lambda: caller.ended(planned)["completed"] == 1)


@pytest.mark.exercises(PROCESSOR)
def test_the_processor_continues_with_a_stored_plan(behind: Behind, caller: Caller, invoke: Invoke) -> None:
    # Given a job whose processor was killed between storing the plan and sending its messages
    record = caller.send("x")
    planned = plant_job(behind, caller, total={"N": "1"}, open={"NS": ["0"]})
    place = {"Bucket": behind.outputs["BucketName"], "Key": f"jobs/{planned}.json"}
    behind.client("s3").put_object(**place, Body=json.dumps([[record["id"]]]).encode())
    # When the message arrives again
    assert invoke(behind.outputs["ProcessorFunctionArn"], sqs_event([json.dumps({"job": planned})])) == NO_FAILURES
    # Then the job is processed
    until(lambda: caller.ended(planned)["completed"] == 1)


@pytest.mark.parametrize(
    ("name", "queue", "dead_letters"),
    [
        pytest.param(name, *queues, marks=pytest.mark.exercises(name), id=name)
        for name, *queues in (
            (PROCESSOR, "JobQueueUrl", "JobDeadLetterQueueUrl"),
            (WORKER, "WorkQueueUrl", "WorkDeadLetterQueueUrl"),
        )
    ],
)
def test_a_queue_is_read_and_foreign_messages_are_dead_letters(
    behind: Behind, function_names: dict[str, str], *, name: str, queue: str, dead_letters: str
) -> None:
    function, began, text = function_names[name], time.time(), uuid4().hex
    before = behind.waiting(queue)
    # When a message arrives that the function rejects immediately
    behind.put(queue, text)

    found: set[str] = set()

    def given_up() -> bool:
        found.update(letter["Body"] for letter in behind.take(dead_letters))
        return text in found

    # Then it is in the dead letters, and no longer in the queue
    for look in (given_up, lambda: behind.waiting(queue) <= before):
        assert arrives(look, behind.session, function, since=began), refusals(behind.session, function, since=began)


@pytest.mark.exercises(WORKER)
def test_the_worker_processes_small_and_large_records(behind: Behind, caller: Caller, invoke: Invoke) -> None:
    # Given a job's batch with one record in the table and one in the bucket
    records = [caller.send(payload)["id"] for payload in ("x", LARGE)]
    planned = plant_job(behind, caller, total={"N": "2"}, open={"NS": ["0"]})
    text = json.dumps({"job": planned, "batch": 0, "records": records})
    # When its message arrives
    assert invoke(behind.outputs["WorkerFunctionArn"], sqs_event([text])) == NO_FAILURES
    # Then the job is completed
    ended = caller.job(planned)
    assert (ended["status"], ended["completed"], ended["failed"]) == ("completed", 2, 0)


@pytest.mark.exercises(WORKER)
def test_the_worker_reports_a_lost_payload(behind: Behind, caller: Caller, invoke: Invoke) -> None:
    # Given a batch with one record whose payload is lost
    record = caller.send(LARGE)["id"]
    lose(behind, record)
    planned = plant_job(behind, caller, total={"N": "1"}, open={"NS": ["0"]})
    # When its message arrives
    text = json.dumps({"job": planned, "batch": 0, "records": [record]})
    assert invoke(behind.outputs["WorkerFunctionArn"], sqs_event([text])) == NO_FAILURES
    # Then the record has failed, and is not retried
    ended = caller.job(planned)
    assert (ended["completed"], ended["failed"]) == (0, 1), ended


@pytest.mark.parametrize(
    ("output", "queue", "content"),
    [
        pytest.param("ProcessorFunctionArn", "JobQueueUrl", {}, marks=pytest.mark.exercises(PROCESSOR)),
        pytest.param(
            "WorkerFunctionArn",
            "WorkQueueUrl",
            {"batch": 0, "records": ["00000000-0000-4000-8000-000000000000"]},
            marks=pytest.mark.exercises(WORKER),
        ),
    ],
)
def test_a_failed_message_is_delayed(
    behind: Behind, caller: Caller, invoke: Invoke, *, output: str, queue: str, content: dict[str, Any]
) -> None:
    # Given a message that cannot be processed, because its job's stored data is invalid
    text = json.dumps({"job": plant_job(behind, caller, completed={"S": "none"}), **content})
    sqs, url = behind.client("sqs"), behind.outputs[queue]
    with unread(behind, url):
        sqs.send_message(QueueUrl=url, MessageBody=text)
        # And a receiver that hides it for a moment
        (received,) = until(lambda: sqs.receive_message(QueueUrl=url, VisibilityTimeout=MOMENT).get("Messages"))
        end = time.monotonic() + MOMENT
        # When the function receives it
        answer = invoke(behind.outputs[output], sqs_event([text], receipt=received["ReceiptHandle"]))
        assert answer == FAILED
        # Then it stays hidden for longer than that moment
        time.sleep(max(0.0, end - time.monotonic()) + 0.5)
        try:
            assert "Messages" not in sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)
        finally:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])


MOMENT = 4
"""Seconds: longer than a cold start on a busy machine, shorter than the 30 that the function sets."""


@contextmanager
def unread(behind: Behind, url: str) -> Iterator[None]:
    """Disable the function's mapping for a queue for a while."""
    functions = behind.client("lambda")
    attributes = behind.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    (mapping,) = functions.list_event_source_mappings(EventSourceArn=arn)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    # Wait for a read that is in progress
    time.sleep(1)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
