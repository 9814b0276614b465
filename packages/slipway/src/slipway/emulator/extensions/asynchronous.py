"""Asynchronous invocations: retries, maximum event age, and destinations of failed events.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html. AWS waits one minute before the first
retry and two before the second; the emulator waits seconds.
"""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import eventbridge, lambda_svc

from slipway.emulator.extensions import destinations
from slipway.emulator.extensions.functions import Record, actor, base_record
from slipway.emulator.extensions.patches import wrap

RETRIES = 2
OLDEST_SECONDS = 21_600
"""AWS's defaults: two retries, six hours."""

_QUALIFIER = 7
"""Index of the version or alias in a function's ARN split at its colons."""


def _invoke(_: Callable[..., Any], func: Record, event: Any) -> None:
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(_run, func, event), daemon=True, name="ministack-lambda-async").start()


def _run(func: Record, event: Any) -> None:
    config = func.get("config") or func
    parts = config["FunctionArn"].split(":")
    qualifier = parts[_QUALIFIER] if len(parts) > _QUALIFIER else None
    settings = lambda_svc._event_invoke_config(base_record(config), qualifier) or {}
    retries = int(settings.get("MaximumRetryAttempts", RETRIES))
    oldest = int(settings.get("MaximumEventAgeInSeconds", OLDEST_SECONDS))
    began, failures, pause = time.time(), 0, lambda_svc._LAMBDA_ASYNC_RETRY_BASE_SECONDS
    while True:
        result = lambda_svc._execute_function_with_config_scope(func, event)
        if not result.get("error"):
            return
        # A throttled event was not tried: it waits until it is too old.
        failures += 0 if result.get("throttle") else 1
        if failures > retries:
            condition = "RetriesExhausted"
            break
        if time.time() - began + pause > oldest:
            condition = "EventAgeExceeded"
            break
        time.sleep(pause)
        pause = min(pause * 2, lambda_svc._LAMBDA_ASYNC_RETRY_MAX_SECONDS)
    _give_up(config, settings, event, result, condition=condition, failures=failures)


def _give_up(config: Record, settings: Record, event: Any, result: Record, *, condition: str, failures: int) -> None:
    dead_letters = (config.get("DeadLetterConfig") or {}).get("TargetArn")
    if dead_letters:
        destinations.send(actor(config), dead_letters, json.dumps(event), metric="DeadLetterErrors")
    destination = ((settings.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if destination:
        record = {
            "version": "1.0",
            "timestamp": destinations.timestamp(time.time()),
            "requestContext": {
                "requestId": new_uuid(),
                "functionArn": config["FunctionArn"],
                "condition": condition,
                "approximateInvokeCount": failures,
            },
            "requestPayload": event,
            "responseContext": destinations.response_context(config, result),
            "responsePayload": result.get("body"),
        }
        destinations.send(actor(config), destination, json.dumps(record))


def _dispatch(_: Callable[..., Any], arn: str, payload: str) -> None:
    """Invoke a rule's target asynchronously: https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html."""
    function, config, _name = lambda_svc._get_func_record_for_ref(arn)
    if function is not None and config:
        record = lambda_svc._execution_record_for_config(function, {**config, "FunctionArn": arn})
        _invoke(_, record, json.loads(payload))


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(lambda_svc, "invoke_async_with_retry", _invoke, "func", "event")
    wrap(eventbridge, "_dispatch_to_lambda", _dispatch, "arn", "payload")
