"""Writes the object of a new entry and tells the topic."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import logger, tracer


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Follow the new entries of a batch."""
    for record in event["Records"]:
        entry_id = record["dynamodb"]["NewImage"]["id"]["S"]
        aws.client("s3").put_object(Bucket=os.environ["BUCKET_NAME"], Key=f"items/{entry_id}", Body=entry_id.encode())
        aws.client("sns").publish(TopicArn=os.environ["TOPIC_ARN"], Message=entry_id)
    return {"batchItemFailures": []}


startup.finished()
