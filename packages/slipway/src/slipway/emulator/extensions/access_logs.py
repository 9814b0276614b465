"""Access logs of an API's stage, in the stage's format.

https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html. Values are inserted unescaped: a
quotation mark in `$context.error.message` breaks a JSON format, on AWS too; `$context.error.messageString` is quoted.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core.responses import new_uuid, request_scope
from ministack.services import apigateway, apigateway_v1, cloudwatch_logs

from slipway.emulator.extensions.authority import Actor
from slipway.emulator.extensions.patches import wrap

PRINCIPAL = "apigateway.amazonaws.com"

_VARIABLE = re.compile(r"\$context\.([A-Za-z0-9_]+(?:\.[A-Za-z0-9_-]+)*)")
_entry: ContextVar[dict[str, object] | None] = ContextVar("access_log_entry", default=None)
"""Values of the request that is being answered."""


def render(form: str, values: Mapping[str, object]) -> str:
    """Return a line of an access log.

    Args:
        form: The stage's format, with variables such as `$context.status`.
        values: Variable without `context.` → value. Missing variables become `-`.
    """
    return _VARIABLE.sub(lambda match: str(values.get(match[1], "-")), form)


async def _execute(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    host: str,
    path: str,
    method: str,
    headers: Mapping[str, Any],
    body: Any,
    query_params: Any,
    *rest: Any,
    **named: Any,
) -> Any:
    """Answer a request of an API, and write its line in the access log."""
    parsed = app._parse_execute_api_url(host, path)
    if parsed is None:
        return await original(host, path, method, headers, body, query_params, *rest, **named)
    entry: dict[str, object] = {}
    token = _entry.set(entry)
    try:
        answer = await original(host, path, method, headers, body, query_params, *rest, **named)
    finally:
        _entry.reset(token)
    if answer is None:
        return answer
    api_id, stage_name, execute_path = parsed
    rest_scope = apigateway_v1.find_api_scope(api_id)
    service = apigateway_v1 if rest_scope is not None else apigateway
    scope = rest_scope or apigateway.find_api_scope(api_id)
    stage_name, execute_path = app._resolve_stage_and_path(api_id, stage_name, execute_path)
    stage = service.stages_for_api(api_id).get(stage_name)
    if scope is not None and stage is not None:
        known = {**_request(method, f"/{stage_name}{execute_path}", headers), **entry, **_answered(answer)}
        if rest_scope is not None:
            identity = apigateway_v1._iam_caller_identity(headers, query_params or {}) or {}
            known |= {f"identity.{name}": value for name, value in identity.items()}
        with request_scope(*scope):
            _write(stage.get("accessLogSettings") or {}, known, by_role=rest_scope is not None)
    return answer


def _request(method: str, path: str, headers: Mapping[str, Any]) -> dict[str, object]:
    moment = dt.datetime.now(dt.UTC)
    return {
        "requestId": new_uuid(),
        "httpMethod": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "identity.sourceIp": str(headers.get("x-forwarded-for", "127.0.0.1")).split(",")[0].strip(),
        "identity.userAgent": headers.get("user-agent", "-"),
        "requestTime": moment.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(moment.timestamp() * 1000),
    }


def _answered(answer: Any) -> dict[str, object]:
    status, headers, body = answer
    found: dict[str, object] = {"status": int(status), "responseLength": len(body) if body else 0}
    for name in ("x-amzn-requestid", "apigw-requestid"):
        if name in headers:
            found["requestId"] = headers[name]
    return found


def _write(settings: Mapping[str, Any], values: Mapping[str, object], *, by_role: bool) -> None:
    """Write a line; a REST API writes it under the account's role for its logs."""
    destination = settings.get("destinationArn", "").removesuffix(":*")
    group = cloudwatch_logs._log_groups.get(destination.partition(":log-group:")[2])
    if group is None or not settings.get("format"):
        return
    role = (apigateway_v1._account_settings.get("settings") or {}).get("cloudwatchRoleArn")
    if by_role:
        if not role:
            return
        stream_arn = f"{destination}:log-stream:{values['requestId']}"
        asked = (("logs:CreateLogStream", stream_arn), ("logs:PutLogEvents", stream_arn))
        if Actor(role, "apigateway", PRINCIPAL).first_refusal(*asked) is not None:
            return
    now = int(time.time() * 1000)
    stream = group["streams"].setdefault(
        new_uuid().replace("-", ""),
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        },
    )
    line = {"timestamp": now, "message": render(settings["format"], values), "ingestionTime": now}
    cloudwatch_logs._append_log_events(stream, [line])


def _note(**values: object) -> None:
    entry = _entry.get()
    if entry is not None:
        entry.update({name.replace("__", "."): value for name, value in values.items()})


async def _execute_rest(original: Callable[..., Any], request: Mapping[str, Any], *rest: Any) -> Any:
    answer = await original(request, *rest)
    _note(resourcePath=request["resource_path"], requestId=request["request_id"], stage=request["stage_name"])
    return answer


def _gateway_error(original: Callable[..., Any], error: Any, request: Mapping[str, Any]) -> Any:
    message = error.message or ""
    _note(error__message=message, error__messageString=json.dumps(message), error__responseType=error.response_type)
    return original(error, request)


async def _validate_jwt(original: Callable[..., Any], *arguments: Any) -> Any:
    claims, scopes, error = await original(*arguments)
    for name, value in (claims or {}).items():
        _note(**{f"authorizer__claims__{name}": value})
    if error is not None:
        _note(error__message="Unauthorized", error__messageString='"Unauthorized"')
    return claims, scopes, error


def install() -> None:
    """Make the emulator write access logs.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(
        app,
        "_handle_execute_api_request",
        _execute,
        *("host", "path", "method", "headers", "body", "query_params", "raw_path", "raw_query_string"),
    )
    wrap(
        apigateway_v1,
        "_execute_in_scope",
        _execute_rest,
        *("request", "api_id", "stage_name", "method", "path", "headers", "body", "query_params"),
        *("owner_account_id", "owner_region"),
    )
    wrap(apigateway_v1, "_gateway_error_response", _gateway_error, "error", "request")
    wrap(
        apigateway,
        "_validate_jwt_authorizer",
        _validate_jwt,
        *("route", "authorizer", "headers", "query_params"),
    )
