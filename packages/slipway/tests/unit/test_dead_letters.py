"""The contract's tests find a message in a queue, however many others it holds."""

from __future__ import annotations

import json
from typing import Any, cast

import boto3
import pytest

from slipway.testing.contract.roles import messages


class Queue:
    """A session and a client of SQS with one queue, which returns its oldest visible messages, at most ten per call."""

    def __init__(self, count: int) -> None:
        self.bodies = [json.dumps({"number": number}) for number in range(count)]
        self.hidden: set[str] = set()

    def client(self, _name: str) -> Queue:
        return self

    def get_queue_url(self, **request: str) -> dict[str, str]:
        return {"QueueUrl": request["QueueName"]}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        visible = [body for body in self.bodies if body not in self.hidden][: request["MaxNumberOfMessages"]]
        if request["VisibilityTimeout"]:
            self.hidden |= set(visible)
        return {"Messages": [{"Body": body, "ReceiptHandle": body} for body in visible]} if visible else {}

    def change_message_visibility(self, **request: Any) -> None:
        assert request["VisibilityTimeout"] == 0
        self.hidden.remove(request["ReceiptHandle"])


@pytest.mark.parametrize("count", [0, 1, 10, 11, 35])
def test_every_message_is_found_and_stays_visible(count: int) -> None:
    queue = Queue(count)
    found = messages(cast("boto3.Session", queue), "arn:aws:sqs:us-east-1:111122223333:letters")
    assert [body["number"] for body in found] == list(range(count))
    assert not queue.hidden
