"""What the tests share that invoke functions as AWS's services would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest


class Invoke:
    """Invokes a function as the root of the account, and gives what it answers.

    Args:
        session: of the root.
    """

    def __init__(self, session: boto3.Session) -> None:
        self._lambda = session.client("lambda")

    def __call__(self, function_arn: str, event: Any) -> Any:
        """The function's answer; the test fails where it raised."""
        answer = self._lambda.invoke(FunctionName=function_arn, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read())
        assert not answer.get("FunctionError"), content
        return content


@pytest.fixture(scope="session")
def invoke(session: Callable[..., boto3.Session]) -> Invoke:
    """Import it where it is used: it is a fixture of those files alone."""
    return Invoke(session())


def message(body: str, *, receives: int = 1, receipt: str = "none") -> dict[str, Any]:
    """A batch of one message, as Lambda hands it to the reader of a queue."""
    return {
        "Records": [
            {
                "messageId": "00000000-0000-4000-8000-000000000001",
                "receiptHandle": receipt,
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "0"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111111111111:queue",
                "awsRegion": "us-east-1",
            }
        ]
    }


NO_FAILURES: dict[str, list[Any]] = {"batchItemFailures": []}
