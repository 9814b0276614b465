"""What AWS's services do in the name of this service's roles."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import pytest

from slipway.emulator.environment import Outputs
from slipway.testing.contract.roles import AsynchronousContract, HookContract, TracedContract, arrives
from slipway.testing.emulated import refusals

pytestmark = pytest.mark.requirement("functions")

HOOKS = ("ingest/ApiDeployment/Hook", "ingest/ProcessorDeployment/Hook", "ingest/WorkerDeployment/Hook")


class TestTraced(TracedContract):
    functions = ("ingest/ApiFunction",)


class TestAsynchronous(AsynchronousContract):
    functions = HOOKS


class TestHooks(HookContract):
    functions = HOOKS


@pytest.mark.parametrize(
    ("name", "queue", "dead_letters"),
    [
        pytest.param(name, *queues, marks=pytest.mark.exercises(name), id=name)
        for name, *queues in (
            ("ingest/Processor", "JobQueueUrl", "JobDeadLetterQueueUrl"),
            ("ingest/Worker", "WorkQueueUrl", "WorkDeadLetterQueueUrl"),
        )
    ],
)
def test_a_queue_is_read_and_its_messages_deleted(  # noqa: PLR0917  # pytest passes fixtures by name
    session: Callable[..., boto3.Session],
    function_names: dict[str, str],
    outputs: Outputs,
    name: str,
    queue: str,
    dead_letters: str,
) -> None:
    root, function, began, values = session(), function_names[name], time.time(), outputs["ingest"]
    sqs, text = root.client("sqs"), uuid4().hex

    def left() -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts: Any = sqs.get_queue_attributes(QueueUrl=values[queue], AttributeNames=names)["Attributes"]
        return sum(int(counts[each]) for each in names)

    before = left()
    # When a message comes that the function gives up at once
    sqs.send_message(QueueUrl=values[queue], MessageBody=text)

    def given_up() -> bool:
        found = sqs.receive_message(QueueUrl=values[dead_letters], MaxNumberOfMessages=10, VisibilityTimeout=0)
        return text in {message["Body"] for message in found.get("Messages", [])}

    # Then it is in the dead letters and no longer in the queue
    assert arrives(given_up, root, function, since=began), refusals(root, function, since=began)
    assert arrives(lambda: left() <= before, root, function, since=began), refusals(root, function, since=began)
