"""Lambda's actions on behalf of a function's role, and the limits of a function."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc

from slipway.emulator.extensions.authority import Actor
from slipway.emulator.extensions.keys import DECRYPT, customer_key
from slipway.emulator.extensions.patches import wrap
from slipway.emulator.extensions.runtimes import HOSTED

Record = dict[str, Any]

PRINCIPAL = "lambda.amazonaws.com"
LOCKED = "KMSAccessDeniedException"
NOT_HOSTED = "Rehearsal.NotHosted"
"""Error type of functions in every other runtime."""


def actor(config: Record) -> Actor:
    """Return Lambda acting in a function's role."""
    return Actor(config.get("Role", ""), config.get("FunctionName", ""), PRINCIPAL)


def base_record(config: Record) -> Record:
    """Return the record of a function's `$LATEST`, which contains what all versions share."""
    account, region = lambda_svc._account_region_from_function_config(config)
    found: Record | None = lambda_svc._functions.get_scoped(account, region, config.get("FunctionName", ""))
    return found or {}


def _write_log(original: Callable[..., Any], func: Record, *arguments: Any, **named: Any) -> None:
    """Write the log if the role allows it.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """
    config = func.get("config") or func
    function_arn = config["FunctionArn"].split(":")
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    stream = f"arn:aws:logs:{function_arn[3]}:{function_arn[4]}:log-group:{group}:log-stream:{config['Version']}"
    if actor(config).first_refusal(("logs:CreateLogStream", stream), ("logs:PutLogEvents", stream)) is None:
        original(func, *arguments, **named)


def _locked_variables(config: Record) -> str | None:
    """Return AWS's message if the role may not decrypt the function's environment variables.

    AWS checks when an execution environment starts; here each invocation checks, so a missing permission shows at once.
    """
    key = customer_key(config.get("KMSKeyArn"))
    if key is None or not (config.get("Environment") or {}).get("Variables"):
        return None
    refusal = actor(config).refusal(DECRYPT, key, via="lambda")
    if refusal is None:
        return None
    # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
    return (
        "Lambda was unable to decrypt the environment variables because KMS access was denied. Please check the "
        f"function's KMS key settings. KMS Exception: AccessDeniedException KMS Message: {refusal.message}"
    )


def _not_hosted(config: Record) -> str | None:
    """Return why a function cannot run here: the emulator would answer with a mock of status 200."""
    if config.get("PackageType") == "Image":
        return "it is a container image, and containers don't run here"
    runtime = str(config.get("Runtime") or "")
    if runtime and not runtime.startswith(HOSTED):
        return f"its runtime {runtime} is not available here; only Python and Node.js are"
    return None


def _execute(original: Callable[..., Any], func: Record, event: Any) -> Record:
    if (reason := _not_hosted(func.get("config") or func)) is not None:
        name = (func.get("config") or func).get("FunctionName", "")
        said = {"errorType": NOT_HOSTED, "errorMessage": f"{name} cannot be rehearsed: {reason}"}
        return {"error": True, "body": said, "log": ""}
    if (message := _locked_variables(func.get("config") or func)) is not None:
        return {"error": True, "body": {"errorType": LOCKED, "errorMessage": message}, "log": ""}
    result: Record = original(func, event)
    return result


async def _invoke(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    name: str,
    event: Any,
    headers: dict[str, str],
    path_qualifier: str | None = None,
    query_params: dict[str, Any] | None = None,
) -> Any:
    status, answered, body = await original(name, event, headers, path_qualifier, query_params)
    if "X-Amz-Function-Error" in answered and LOCKED.encode() in body:
        return error_response_json(LOCKED, json.loads(body)["errorMessage"], HTTPStatus.BAD_GATEWAY)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        # The emulator omits the error's type from the header that SDKs read
        # (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html).
        answered["x-amzn-errortype"] = "TooManyRequestsException"
        content = json.loads(body)
        content["Message"] = content["message"] = "Rate Exceeded."
        body = json.dumps(content).encode()
    return status, answered, body


def _reserved(original: Callable[..., Any], func: Record, config: Record) -> int | None:
    """Return a function's reserved concurrency, which all of its versions share.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    found: int | None = original(base_record(config) or func, config)
    return found


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(
        lambda_svc,
        "_emit_lambda_logs",
        _write_log,
        *("func", "request_id", "log_text", "error", "duration_ms", "log_source"),
    )
    wrap(lambda_svc, "_execute_function", _execute, "func", "event")
    wrap(lambda_svc, "_invoke", _invoke, "name", "event", "headers", "path_qualifier", "query_params")
    wrap(lambda_svc, "_reserved_concurrency", _reserved, "func", "config")
