"""Keeps a record of each run."""

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
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, bool]:
    """Run once."""
    if "id" not in event:
        return {"done": False}
    aws.client("dynamodb").put_item(TableName=os.environ["TABLE_NAME"], Item={"id": {"S": str(event["id"])}})
    return {"done": True}


startup.finished()
