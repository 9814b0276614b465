"""Processes the records of `intake`."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.queue import Queue, UnusableMessageError, handle_batch
from slipway_runtime.telemetry import logger, tracer

_queue = Queue(lambda: aws.client("sqs"), os.environ["QUEUE_URL"], os.environ["DEAD_LETTER_QUEUE_URL"])


def _process(message: Mapping[str, Any]) -> None:
    if "id" not in message:
        raise UnusableMessageError("it names no record")
    aws.client("dynamodb").update_item(
        TableName=os.environ["TABLE_NAME"],
        Key={"id": {"S": str(message["id"])}},
        UpdateExpression="SET #state = :done",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":done": {"S": "done"}},
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Process a batch, and name the messages to deliver again."""
    return handle_batch(event, _process, _queue)


startup.finished()
