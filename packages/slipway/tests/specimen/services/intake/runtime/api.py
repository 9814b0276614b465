"""Answers the API of `intake`."""

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
    """Keep a record and queue it, or return one."""
    match event["httpMethod"], event["path"]:
        case "GET", "/health":
            return _answer(200, {"status": "ok"})
        case "POST", "/data":
            record = {"id": str(uuid.uuid4()), "state": "pending"}
            aws.client("dynamodb").put_item(TableName=_table, Item={key: {"S": value} for key, value in record.items()})
            aws.client("sqs").send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=json.dumps(record))
            return _answer(201, record)
        case "GET", "/data":
            record_id = event["queryStringParameters"]["id"]
            found = aws.client("dynamodb").get_item(TableName=_table, Key={"id": {"S": record_id}}).get("Item")
            return _answer(200, {key: value["S"] for key, value in found.items()}) if found else _answer(404, {})
    return _answer(405, {})


startup.finished()
