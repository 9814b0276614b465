"""Show dead letters, or send them back to their queue: `python -m services.ingest.redrive --env dev`.

It uses the account of the present AWS credentials. A message is sent back before it is deleted, so an interrupted run
loses none; a duplicate is processed once.

SQS's own `StartMessageMoveTask` is not used: it sends a message back to the queue that SQS moved it from, and messages
that a function gave up have no such queue.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer
from rich.console import Console
from rich.table import Column, Table

from services.ingest.runtime.model import UNANSWERED

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

QUEUES = {"JobQueueUrl": "JobDeadLetterQueueUrl", "WorkQueueUrl": "WorkDeadLetterQueueUrl"}
"""Outputs of the compute stack: a queue, and its dead letters."""

HIDDEN_SECONDS = 60
"""Time that a received message is hidden from other readers, seconds."""


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead letters."""

    body: str
    reason: str
    receipt: str


def dead_letters(sqs: SQSClient, url: str) -> Iterator[DeadLetter]:
    """Yield the messages in a dead-letter queue at the time of the call, each once.

    Args:
        sqs: Client of SQS.
        url: The queue.
    """
    names: Any = ["ApproximateNumberOfMessages"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    # Bounded: an unusable message comes back as fast as it is sent.
    left = int(attributes["ApproximateNumberOfMessages"])
    while left > 0:
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(10, left),
            MessageAttributeNames=["reason"],
            VisibilityTimeout=HIDDEN_SECONDS,
        )
        messages = answer.get("Messages", [])
        if not messages:
            return
        left -= len(messages)
        for message in messages:
            given = message.get("MessageAttributes", {}).get("reason")
            reason = given.get("StringValue", UNANSWERED) if given else UNANSWERED
            yield DeadLetter(message["Body"], reason, message["ReceiptHandle"])


def redrive(sqs: SQSClient, *, source: str, target: str) -> int:
    """Send what is in a dead-letter queue back to its queue.

    Args:
        sqs: Client of SQS.
        source: URL of the dead-letter queue.
        target: URL of the queue.

    Returns:
        Messages that were sent back.
    """
    count = 0
    for letter in dead_letters(sqs, source):
        sqs.send_message(QueueUrl=target, MessageBody=letter.body)
        sqs.delete_message(QueueUrl=source, ReceiptHandle=letter.receipt)
        count += 1
    return count


def main(
    env: Annotated[str, typer.Option(help="Environment of config/.")] = "dev",
    show: Annotated[bool, typer.Option("--show", help="Show the messages and reasons, and change nothing.")] = False,
) -> None:
    """Send the dead letters of ingest back to their queues."""
    stack = boto3.client("cloudformation").describe_stacks(StackName=f"{env}-ingest-compute")["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    Console().print(work_off(boto3.client("sqs"), outputs, show=show))


def work_off(sqs: SQSClient, outputs: Mapping[str, str], *, show: bool) -> Table:
    """Send all dead letters back to their queues, or show them.

    Args:
        sqs: Client of SQS.
        outputs: Of the service.
        show: Whether they are shown and left where they are.

    Returns:
        What was there, or how many were sent back.
    """
    table = report() if show else Table("queue", "sent back")
    for queue, letters in QUEUES.items():
        name = queue.removesuffix("Url")
        if show:
            for letter in dead_letters(sqs, outputs[letters]):
                table.add_row(name, _job(letter.body), letter.reason)
                sqs.change_message_visibility(
                    QueueUrl=outputs[letters], ReceiptHandle=letter.receipt, VisibilityTimeout=0
                )
        else:
            table.add_row(name, str(redrive(sqs, source=outputs[letters], target=outputs[queue])))
    return table


def report() -> Table:
    """Return an empty table for dead letters, wide enough for job ids, so that they can be copied."""
    return Table("queue", Column("job", no_wrap=True, min_width=36), Column("reason", overflow="fold"))


def _job(body: str) -> str:
    try:
        return str(json.loads(body)["job"])
    except (ValueError, TypeError, KeyError):
        return "not a message of ingest"


if __name__ == "__main__":
    typer.run(main)
