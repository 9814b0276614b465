"""Dead letters are shown unchanged, or sent back before they are deleted."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from slipway import redrive

OUTPUTS = {"JobQueueUrl": "jobs", "JobDeadLetterQueueUrl": "dead"}
QUEUES = {"JobQueueUrl": "JobDeadLetterQueueUrl"}


class Sqs:
    """In-memory queues: a received message stays until it is deleted, and is hidden from later reads."""

    def __init__(self, **letters: str) -> None:
        self.queues = {"dead": dict(letters), "jobs": {}}
        self.hidden: set[str] = set()

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {"Attributes": {"ApproximateNumberOfMessages": str(len(self.queues[QueueUrl]))}}

    def receive_message(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        seen = [name for name in self.queues[QueueUrl] if name not in self.hidden]
        self.hidden.update(seen)
        reason = {"reason": {"StringValue": "the body is not JSON"}}
        return {
            "Messages": [
                {
                    "Body": self.queues[QueueUrl][name],
                    "ReceiptHandle": name,
                    "MessageAttributes": reason if name == "given_up" else {},
                }
                for name in seen
            ]
        }

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        self.queues[QueueUrl][str(uuid4())] = MessageBody

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        assert self.queues[QueueUrl].pop(ReceiptHandle) in self.queues["jobs"].values()

    def change_message_visibility(self, *, ReceiptHandle: str, **_: Any) -> None:  # noqa: N803
        self.hidden.remove(ReceiptHandle)


@pytest.fixture
def sqs() -> Sqs:
    return Sqs(given_up="kettle", moved='{"job": "1"}')


def test_letters_are_sent_back_and_counted(sqs: Sqs) -> None:
    table = redrive.work_off(sqs, OUTPUTS, QUEUES, show=False)  # type: ignore[arg-type]

    assert not sqs.queues["dead"]
    assert sorted(sqs.queues["jobs"].values()) == ["kettle", '{"job": "1"}']
    assert list(table.columns[1].cells) == ["2"]


def test_letters_are_shown_with_reasons_and_stay(sqs: Sqs) -> None:
    table = redrive.work_off(sqs, OUTPUTS, QUEUES, show=True)  # type: ignore[arg-type]

    assert list(table.columns[2].cells) == ["the body is not JSON", redrive.MOVED]
    assert (len(sqs.queues["dead"]), sqs.hidden) == (2, set())


def test_ids_are_not_cut_without_a_terminal() -> None:
    table, job, written = redrive.report(), f'{{"job": "{uuid4()}"}}', StringIO()
    table.add_row("WorkQueue", job, redrive.MOVED)
    Console(file=written, width=80).print(table)
    assert job in written.getvalue()
