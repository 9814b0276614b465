"""Works on accepted jobs, invoked asynchronously."""

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
    """Do one job."""
    if "job" not in event:
        return {"done": False}
    aws.client("s3").put_object(Bucket=os.environ["BUCKET_NAME"], Key=f"processed/{event['job']}", Body=b"{}")
    aws.client("dynamodb").update_item(
        TableName=os.environ["TABLE_NAME"],
        Key={"owned_id": {"S": event["job"]}},
        UpdateExpression="SET #state = :done",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":done": {"S": "done"}},
    )
    return {"done": True}


startup.finished()
