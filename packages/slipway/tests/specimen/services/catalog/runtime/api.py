"""Answers the API of `catalog`."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
import os
import uuid
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws, flags
from slipway_runtime.secrets import CachedSecret
from slipway_runtime.telemetry import logger, tracer

from .answers import answer

_table = os.environ["TABLE_NAME"]
_origin = CachedSecret(lambda: aws.client("secretsmanager"), os.environ["ORIGIN_SECRET_ARN"], "header")


def _came_through_the_edge(event: dict[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    sent = headers.get("x-origin-verify", "")
    return _origin.matches(lambda value: value == sent)


def _create(event: dict[str, Any]) -> dict[str, Any]:
    name = json.loads(event["body"] or "{}").get("name")
    if not name:
        return answer(400)
    entry = {"id": str(uuid.uuid4()), "name": str(name)}
    aws.client("dynamodb").put_item(TableName=_table, Item={key: {"S": value} for key, value in entry.items()})
    return answer(201, entry)


def _read(event: dict[str, Any]) -> dict[str, Any]:
    if not _came_through_the_edge(event):
        return answer(403)
    entry_id = (event.get("pathParameters") or {}).get("id") or event["path"].rpartition("/")[2]
    found = aws.client("dynamodb").get_item(TableName=_table, Key={"id": {"S": entry_id}}).get("Item")
    if not found:
        return answer(404)
    entry = {key: value["S"] for key, value in found.items()}
    if flags.is_on("shouted_names", name=entry["name"]):
        entry["name"] = entry["name"].upper()
    return answer(200, entry)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    match event["httpMethod"], event["path"]:
        case "GET" | "HEAD", "/health":
            return answer(200, {"status": "ok", "function_version": context.function_version})
        case "POST", "/items":
            return _create(event)
        case "GET" | "HEAD", _:
            return _read(event)
    return answer(405)


startup.finished()
