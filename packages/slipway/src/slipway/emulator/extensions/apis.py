"""Add APIs that the emulator lacks: routed, signed and authorised by IAM like its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ministack import app
from ministack.core import iam_actions, router
from ministack.core.responses import error_response_json

from slipway.emulator.extensions.patches import wrap

Operation = Callable[[dict[str, Any]], dict[str, Any]]
Resource = Callable[[dict[str, Any]], str]
Handler = Callable[..., Awaitable[tuple[int, dict[str, str], bytes | str]]]


class ApiRefusalError(Exception):
    """An operation's refusal.

    Args:
        code: AWS's code.
        message: Message to the caller.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


_resources: dict[str, Callable[[str, str, bytes], str]] = {}
"""Service → function that returns the ARN of a request, from its method, path and body."""


def add(
    service: str, operations: Mapping[str, Operation], *, target: str = "", resource: Resource | None = None
) -> None:
    """Serve an API.

    Args:
        service: Its name in signatures and in IAM.
        operations: Name → function that answers a request.
        target: Prefix of `X-Amz-Target`; empty for an API with paths.
        resource: Returns the ARN to authorise for a request. Default: `*`.
    """

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query_params: Any) -> Any:
        action = iam_actions.extract_iam_action(service, method, path, headers, body, query_params) or ""
        operation = operations.get(action.partition(":")[2])
        if operation is None:
            return error_response_json("UnknownOperationException", f"the emulated {service} has no {action}", 400)
        try:
            answer = operation(json.loads(body or b"{}"))
        except ApiRefusalError as refusal:
            return error_response_json(refusal.code, refusal.message, 400)
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()

    of_body = None if resource is None else lambda _method, _path, body: resource(json.loads(body or b"{}"))
    serve(service, handle, target=target, resource=of_body)


def serve(
    service: str, handle: Handler, *, target: str = "", resource: Callable[[str, str, bytes], str] | None = None
) -> None:
    """Serve an API with its own handler.

    Args:
        service: Its name in signatures and in IAM.
        handle: Answers a request, given its method, path, headers, body and query.
        target: Prefix of `X-Amz-Target`; empty for an API with paths.
        resource: Returns the ARN to authorise for a request, from its method, path and body. Default: `*`.
    """
    router.SERVICE_PATTERNS[service] = {"target_prefixes": [target] if target else []}
    app.SERVICE_HANDLERS[service] = handle
    iam_actions.SERVICE_TO_IAM_NAMESPACE[service] = service
    iam_actions._BOTOCORE_SERVICE_MAP[service] = [service]
    if resource is not None:
        _resources[service] = resource


def _resource_arn(original: Callable[..., str], service: str, method: str, path: str, headers: Any, *rest: Any) -> str:
    if service in _resources:
        return _resources[service](method, path, rest[0] or b"")
    return original(service, method, path, headers, *rest)


def install() -> None:
    """Make the emulator check IAM for these APIs' resources.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    parameters = ("service", "method", "path", "headers", "body", "query_params", "region", "account_id")
    wrap(iam_actions, "extract_resource_arn", _resource_arn, *parameters)
