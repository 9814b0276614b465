"""Make API Gateway and CloudFront's hosts answer as on AWS."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, new_uuid, request_scope
from ministack.services import apigateway, apigateway_v1, lambda_svc

from slipway.emulator.extensions.functions import LOCKED
from slipway.emulator.extensions.patches import wrap

Headers = dict[str, Any]

OVERRIDE = "x-http-method-override"
REST_SECONDS, HTTP_SECONDS = 29.0, 30.0
"""Maximum duration of an integration: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html."""

INVOKE = "execute-api:Invoke"
_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/")
_failed: ContextVar[int | None] = ContextVar("integration_failed", default=None)


def _owner(api_id: str) -> tuple[str, str] | None:
    """Return account and region of a REST API, for any caller."""
    found = (
        (account, region) for (account, region, known), _ in apigateway_v1._rest_apis.all_items() if known == api_id
    )
    return next(found, None)


async def _execute_api(
    original: Callable[..., Any], host: str, path: str, method: str, headers: Headers, *rest: Any, **named: Any
) -> Any:
    """Apply `X-HTTP-Method-Override`, and refuse callers of another account.

    A REST API applies the header whatever the request's own method is. A caller of another account needs a resource
    policy on the API, and ours have none.
    """
    parsed = app._parse_execute_api_url(host, path)
    owner = _owner(parsed[0]) if parsed is not None else None
    if parsed is None or owner is None:
        return await original(host, path, method, headers, *rest, **named)
    method = str(headers.get(OVERRIDE) or method).upper()
    foreign = owner[0] != get_account_id()
    with request_scope(*owner):
        authorization = apigateway_v1.method_authorization_type(parsed[0], parsed[1], method, parsed[2])
        if foreign and authorization == "AWS_IAM":
            return _refuse(parsed[0], parsed[1], headers, rest[1], "User is not authorized to access this resource")
        return await original(host, path, method, headers, *rest, **named)


def _request(
    api_id: str, stage_name: str, stage: Mapping[str, Any], *, headers: Headers, query: Any, path: str = ""
) -> dict[str, Any]:
    """Return the variables of a gateway response."""
    return {
        "api_id": api_id,
        "stage_name": stage_name,
        "stage": stage,
        "headers": headers,
        "query_params": query,
        "path_params": {},
        "resource_path": path,
        "request_id": new_uuid(),
    }


# Who may call


def _refuse(api_id: str, stage: str, headers: Headers, query: Any, message: str) -> Any:
    """Refuse access as the API does: with a gateway response of a REST API, or an HTTP API's short answer."""
    scope, stages = apigateway_v1.find_api_scope(api_id), apigateway_v1.stages_for_api(api_id)
    if scope is None or stage not in stages:
        return HTTPStatus.FORBIDDEN, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'
    request = _request(api_id, stage, stages[stage], headers=headers, query=query)
    with request_scope(*scope):
        error = apigateway_v1._GatewayError("ACCESS_DENIED", message, "AccessDeniedException")
        return apigateway_v1._gateway_error_response(error, request)


def _is_served(api_id: str, stage: str, method: str, path: str) -> bool:
    return apigateway_v1.method_authorization_type(api_id, stage, method, path) is not None


def _enforce_execute_api(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    api_id: str,
    stage: str,
    method: str,
    execute_path: str,
    headers: Headers,
    query_params: Any,
    iam_action: str = INVOKE,
) -> Any:
    """Check IAM only for existing routes, and refuse as the API does, with its gateway responses.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """
    is_rest = apigateway_v1.find_api_scope(api_id) is not None
    if is_rest and iam_action == INVOKE and not _is_served(api_id, stage, method, execute_path):
        return None
    denied = original(api_id, stage, method, execute_path, headers, query_params, iam_action=iam_action)
    if denied and denied[1].get("x-amzn-errortype") == "AccessDeniedException":
        return _refuse(api_id, stage, headers, query_params, json.loads(denied[2])["message"])
    return denied


def _enforce(
    original: Callable[..., Any], access_key_id: str, iam_action: str, service: str, region: str, **named: Any
) -> Any:
    """Refuse a signature for another service: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html."""
    request = iam_evaluator._signed_request.get()
    if iam_action == INVOKE and request is not None and not request.presigned:
        scope = _SCOPE.search(request.headers.get("authorization", ""))
        if scope is not None and scope[1] != "execute-api":
            message = "Credential should be scoped to correct service: 'execute-api'. "
            return iam_evaluator.AuthError("SignatureDoesNotMatch", message)
    return original(access_key_id, iam_action, service, region, **named)


def _update_api_key(original: Callable[..., Any], key_id: str, data: Mapping[str, Any]) -> Any:
    """Also disable a key by the string `false`, the only form that a patch allows."""
    answer = original(key_id, data)
    key = apigateway_v1._api_keys.get(key_id)
    if key is not None and isinstance(key.get("enabled"), str):
        key["enabled"] = key["enabled"].lower() == "true"
        return apigateway_v1._v1_response(key)
    return answer


# Integrations


async def _within(seconds: float, answer: Any) -> Any:
    """Return the answer if it arrives in time, else None. As on AWS, the function itself continues."""
    task = asyncio.ensure_future(answer)
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return task.result() if done else None


async def _invoke_proxy(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    integration: Mapping[str, Any],
    api_id: str,
    stage_name: str,
    stage: Mapping[str, Any],
    resource: Mapping[str, Any],
    *rest: Any,
    **named: Any,
) -> Any:
    """Answer as API Gateway does for a function that failed or timed out."""
    seconds = min(REST_SECONDS, float(integration.get("timeoutInMillis") or REST_SECONDS * 1000) / 1000)

    async def invoke() -> Any:
        _failed.set(None)
        answer = await original(integration, api_id, stage_name, stage, resource, *rest, **named)
        if (status := _failed.get()) is None:
            return answer
        request = _request(api_id, stage_name, stage, headers=rest[2], query=rest[4], path=resource["path"])
        error = apigateway_v1._gw_error("DEFAULT_5XX", "Internal server error")
        _, headers, body = apigateway_v1._gateway_error_response(error, request)
        return status, headers, body

    answer = await _within(seconds, invoke())
    if answer is None:
        return apigateway_v1._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    return answer


def _proxy_response(original: Callable[..., Any], exec_result: Mapping[str, Any]) -> Any:
    """Keep a failed function's error to its log.

    https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html: a refused invocation is a 500, a
    function's error a 502.
    """
    if not exec_result.get("error"):
        return original(exec_result)
    body = exec_result.get("body")
    refused = exec_result.get("throttle") or (isinstance(body, dict) and body.get("errorType") == LOCKED)
    status = HTTPStatus.INTERNAL_SERVER_ERROR if refused else HTTPStatus.BAD_GATEWAY
    _failed.set(int(status))
    return {
        "statusCode": int(status),
        "headers": {"Content-Type": "application/json"},
        "body": '{"message":"Internal Server Error"}',
    }, None


async def _execute_http(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    answer = await _within(HTTP_SECONDS, original(*arguments, **named))
    if answer is None:
        return (
            HTTPStatus.SERVICE_UNAVAILABLE,
            {"Content-Type": "application/json"},
            b'{"message":"Service Unavailable"}',
        )
    status, headers, body = answer
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("www-authenticate", "Bearer")
    return status, headers, body


# Hosts of APIs and distributions


def _owns_paths(headers: Headers) -> bool:
    host = headers.get("host", "")
    return app._parse_cloudfront_dataplane_host(host) is not None or app._EXECUTE_API_RE.match(host) is not None


async def _pre_body(original: Callable[..., Any], method: str, path: str, headers: Headers, *rest: Any) -> Any:
    """Let APIs and distributions answer every path on their host, including the emulator's, such as `/health`."""
    return None if _owns_paths(headers) else await original(method, path, headers, *rest)


async def _post_body(original: Callable[..., Any], method: str, path: str, headers: Headers, *rest: Any) -> Any:
    return None if _owns_paths(headers) else await original(method, path, headers, *rest)


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(
        app,
        "_handle_execute_api_request",
        _execute_api,
        *("host", "path", "method", "headers", "body", "query_params", "raw_path", "raw_query_string"),
    )
    wrap(
        app,
        "_enforce_execute_api",
        _enforce_execute_api,
        *("api_id", "stage", "method", "execute_path", "headers", "query_params", "iam_action"),
    )
    parameters = ("access_key_id", "iam_action", "service", "region", "resource_arn", "service_context")
    wrap(iam_evaluator, "enforce", _enforce, *parameters)
    wrap(apigateway_v1, "_update_api_key", _update_api_key, "key_id", "data")
    wrap(
        apigateway_v1,
        "_invoke_lambda_proxy_v1",
        _invoke_proxy,
        *("integration", "api_id", "stage_name", "stage", "resource", "request_path", "method", "headers", "body"),
        *("query_params", "path_params", "owner_account_id", "owner_region", "binary_media_types"),
        *("authorizer_context", "caller_identity"),
    )
    wrap(lambda_svc, "lambda_execute_result_to_api_proxy_response", _proxy_response, "exec_result")
    wrap(
        apigateway,
        "handle_execute",
        _execute_http,
        *("api_id", "stage", "path", "method", "headers", "body", "query_params", "raw_query_string"),
    )
    wrap(app, "_handle_pre_body_request", _pre_body, "method", "path", "headers", "query_params", "request_id")
    wrap(
        app,
        "_handle_post_body_shortcuts",
        _post_body,
        *("method", "path", "headers", "body", "query_params", "request_id"),
    )
