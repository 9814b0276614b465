"""Answers the API of `studio`."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
import os
import uuid
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import logger, tracer

_table = os.environ["TABLE_NAME"]


def _answer(status: int, body: Any) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Accept a job of the caller, or return one of the caller's own."""
    if event["rawPath"] == "/health":
        return _answer(200, {"status": "ok"})
    owner = event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    if event["rawPath"] == "/process":
        job = f"{owner}/{uuid.uuid4()}"
        aws.client("dynamodb").put_item(TableName=_table, Item={"owned_id": {"S": job}, "state": {"S": "accepted"}})
        aws.client("lambda").invoke(
            FunctionName=os.environ["WORKER_ARN"], InvocationType="Event", Payload=json.dumps({"job": job}).encode()
        )
        return _answer(202, {"id": job.rpartition("/")[2]})
    job = f"{owner}/{event['rawPath'].rpartition('/')[2]}"
    found = aws.client("dynamodb").get_item(TableName=_table, Key={"owned_id": {"S": job}}).get("Item")
    return _answer(200, {"state": found["state"]["S"]}) if found else _answer(404, {})


startup.finished()
