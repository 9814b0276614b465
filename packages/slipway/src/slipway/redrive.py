"""Show the dead letters of a service's queues, or send them back. A service can offer this as its own command.

A message is sent back before it is deleted, so an interrupted run loses no message; readers must tolerate duplicates.

SQS's own `StartMessageMoveTask` is not used: it sends a message back to the queue that SQS moved it from, and there is
no such queue if a function gave up the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer
from rich.console import Console
from rich.table import Column, Table

from slipway.emulator.command import local_environment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

HIDDEN_SECONDS = 60
"""Time that a received message is hidden from other readers, seconds."""

MOVED = "never answered: the function was killed or timed out each time"
"""Reason shown for a message that SQS itself moved: no function recorded one."""

ShowOption = Annotated[bool, typer.Option("--show", help="Show the messages and reasons, and change nothing.")]
AccountOption = Annotated[
    bool,
    typer.Option(
        "--account", help="Use the account of your current AWS credentials. Default: the emulator on this machine."
    ),
]


@dataclass(frozen=True)
class DeadLetter:
    """A message in a dead-letter queue."""

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
    # Only so many messages: an unusable one returns as fast as it is sent back.
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
            reason = given.get("StringValue", MOVED) if given else MOVED
            yield DeadLetter(message["Body"], reason, message["ReceiptHandle"])


def redrive(sqs: SQSClient, *, source: str, target: str) -> int:
    """Send the messages in a dead-letter queue back to its queue.

    Args:
        sqs: Client of SQS.
        source: URL of the dead-letter queue.
        target: URL of the queue.

    Returns:
        Number of messages that were sent back.
    """
    count = 0
    for letter in dead_letters(sqs, source):
        sqs.send_message(QueueUrl=target, MessageBody=letter.body)
        sqs.delete_message(QueueUrl=source, ReceiptHandle=letter.receipt)
        count += 1
    return count


def work_off(sqs: SQSClient, outputs: Mapping[str, str], queues: Mapping[str, str], *, show: bool) -> Table:
    """Send all dead letters back to their queues, or show them.

    Args:
        sqs: Client of SQS.
        outputs: Outputs of the service.
        queues: Output with the URL of a queue → output with that of its dead letters.
        show: True to only show them.

    Returns:
        The messages, or the number of messages that were sent back.
    """
    table = report() if show else Table("queue", "sent back")
    for queue, letters in queues.items():
        name = queue.removesuffix("Url")
        if show:
            for letter in dead_letters(sqs, outputs[letters]):
                table.add_row(name, letter.body, letter.reason)
                sqs.change_message_visibility(
                    QueueUrl=outputs[letters], ReceiptHandle=letter.receipt, VisibilityTimeout=0
                )
        else:
            table.add_row(name, str(redrive(sqs, source=outputs[letters], target=outputs[queue])))
    return table


def report() -> Table:
    """Return an empty table for dead letters, wide enough for a UUID in a message, so that it can be copied."""
    return Table("queue", Column("message", overflow="fold", min_width=48), Column("reason", overflow="fold"))


def run(service: str, queues: Mapping[str, str], *, env: str, show: bool, account: bool) -> None:
    """Run the command `redrive` of a service, and print the result.

    Args:
        service: Its name.
        queues: Output with the URL of a queue → output with that of its dead letters.
        env: Name of the environment.
        show: True to only show the messages.
        account: True to use the account of the current AWS credentials; False to use the emulator.
    """
    if account:
        formation, sqs = boto3.client("cloudformation"), boto3.client("sqs")
        stack = formation.describe_stacks(StackName=f"{env}-{service}-compute")["Stacks"][0]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    else:
        local = local_environment(env)
        sqs, outputs = local.emulator.session().client("sqs"), local.outputs().get(service, {})
    Console().print(work_off(sqs, outputs, queues, show=show))
