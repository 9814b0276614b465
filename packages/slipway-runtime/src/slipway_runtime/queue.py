"""Handle the messages of a queue, each by itself."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from slipway_runtime.telemetry import count_fault, logger

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BACK_OFF_SECONDS: Final = 10
"""Seconds that a failed message waits for its next try, multiplied by the number of tries so far."""


class UnusableMessageError(Exception):
    """A message that can never be handled. The text says why, but quotes nothing of the message."""


class Queue(NamedTuple):
    """A queue and its dead letters.

    Attributes:
        client: Makes the client at the first message that needs it.
        url: Address of the queue.
        dead_letters: Address of its dead letters.
    """

    client: "Callable[[], SQSClient]"
    url: str
    dead_letters: str

    def postpone(self, receipt: str, tries: int) -> None:
        """Let a failed message wait before its next try, for less than the whole visibility time-out."""
        self.client().change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=BACK_OFF_SECONDS * tries
        )

    def bury(self, body: str, reason: str) -> None:
        """Send a message to the dead letters, with the reason."""
        self.client().send_message(
            QueueUrl=self.dead_letters,
            MessageBody=body,
            MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
        )


def handle_batch(
    event: Mapping[str, Any], handle: Callable[[Mapping[str, Any]], None], queue: Queue
) -> dict[str, list[dict[str, str]]]:
    """Handle every message of a batch, and return those to redeliver.

    Args:
        event: Lambda's event for the reader of a queue.
        handle: Handles a message, a JSON object. Raises `UnusableMessageError` for one that can never be handled; after
            any other exception the message is delivered again.
        queue: Where the messages came from.

    Returns:
        The answer of a function whose event source mapping reports batch item failures.
    """
    failed = [record["messageId"] for record in event["Records"] if not _handled(record, handle, queue)]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _handled(record: Mapping[str, Any], handle: Callable[[Mapping[str, Any]], None], queue: Queue) -> bool:
    try:
        handle(_object(record["body"]))
    except UnusableMessageError as error:
        queue.bury(record["body"], str(error))
        logger.error("message dead", extra={"message_id": record["messageId"], "reason": str(error)})
    except Exception as error:  # noqa: BLE001 - after any error, the message is redelivered
        logger.warning(
            "message will be redelivered", extra={"message_id": record["messageId"], "error": type(error).__name__}
        )
        count_fault()
        queue.postpone(record["receiptHandle"], int(record["attributes"]["ApproximateReceiveCount"]))
        return False
    return True


def _object(body: str) -> Mapping[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableMessageError("the body is not JSON") from None
    if not isinstance(message, dict):
        raise UnusableMessageError("the body is not a JSON object")
    return message
