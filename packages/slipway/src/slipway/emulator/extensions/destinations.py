"""Send a function's failed events to its destination or dead letters, on behalf of the function's role."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import cloudwatch, lambda_svc, sns, sqs

from slipway.emulator.extensions.authority import Actor
from slipway.emulator.extensions.keys import NEEDED, key_of

logger = logging.getLogger("ministack")

# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
_ACTIONS = {
    "sqs": "sqs:SendMessage",
    "sns": "sns:Publish",
    "lambda": "lambda:InvokeFunction",
    "events": "events:PutEvents",
}


def send(actor: Actor, destination: str, content: str, *, metric: str = "DestinationDeliveryFailures") -> bool:
    """Send a record to a destination.

    Args:
        actor: Lambda acting in the function's role.
        destination: ARN of a queue, topic or function.
        content: The record, as JSON.
        metric: Metric of the function that counts a failure.

    Returns:
        True if it was sent; False if the role may not, or the destination doesn't exist.
    """
    kind = destination.split(":")[2] if destination.startswith("arn:") else ""
    sent = kind in _ACTIONS and _allowed(actor, _ACTIONS[kind], destination) and _put(kind, destination, content)
    if not sent:
        logger.warning("%s: the failed event was not sent to %s", actor.session, destination)
        cloudwatch.record_metric("AWS/Lambda", metric, 1, "Count", {"FunctionName": actor.session})
    return sent


def _allowed(actor: Actor, action: str, destination: str) -> bool:
    if actor.refusal(action, destination) is not None:
        return False
    key = key_of(destination)
    service = action.partition(":")[0]
    return key is None or all(actor.refusal(needed, key, via=service) is None for needed in NEEDED.get(action, ()))


def _put(kind: str, destination: str, content: str) -> bool:
    match kind:
        case "sqs":
            return _put_message(destination, content)
        case "sns" if destination in sns._topics:
            sns._fanout(destination, new_uuid(), content, "", "", {})
            return True
        case "lambda":
            function, config, _ = lambda_svc._get_func_record_for_ref(destination)
            if function is None:
                return False
            record = lambda_svc._execution_record_for_config(function, config)
            lambda_svc.invoke_async_with_retry(record, json.loads(content))
            return True
        case _:
            return False


def _put_message(queue_arn: str, body: str) -> bool:
    queue = sqs._queue_by_arn(queue_arn)
    if queue is None:
        return False
    now = time.time()
    message: dict[str, Any] = {
        "id": new_uuid(),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "md5_attrs": "",
        "receipt_handle": None,
        "sent_at": now,
        "visible_at": now + sqs.queue_delay(queue),
        "receive_count": 0,
        "message_attributes": {},
    }
    sqs._ensure_msg_fields(message)
    with sqs._queues_lock:
        queue["messages"].append(message)
    lambda_svc.esm_wake.set()
    return True


def timestamp(seconds: float) -> str:
    """Return a time in the format of destinations' records, in UTC with milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def response_context(config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a destination's message about the function's last answer."""
    return {
        "statusCode": 200,
        "executedVersion": config.get("Version", "$LATEST"),
        "functionError": result.get("function_error") or "Unhandled",
    }
