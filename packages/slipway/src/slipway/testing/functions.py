"""Run the handlers of functions in a test's process: their environment, their context, their events and answers."""

from __future__ import annotations

import base64
import importlib
import io
import json
import logging
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import pytest

POWERTOOLS = {
    "POWERTOOLS_SERVICE_NAME": "service",
    "POWERTOOLS_METRICS_NAMESPACE": "Slipway",
    "POWERTOOLS_LOG_LEVEL": "INFO",
}
"""Variables that Powertools reads when it is imported; the plugin sets them before any test is collected."""

LAMBDA = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "unit",
    "AWS_SECRET_ACCESS_KEY": "unit",  # nosec B105  # unit tests call nobody
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_FUNCTION_VERSION": "7",
}
"""Variables that Lambda sets. The credentials are invalid: clients are created and never called."""


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set a function's environment variables, including Lambda's own, for the duration of the context."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**LAMBDA, **variables}.items():
            patch.setenv(name, value)
        yield


def import_functions(package: str, variables: Mapping[str, str]) -> None:
    """Import every module of a service's functions with their environment, which handlers read when imported.

    The package of their tests calls it in its `__init__.py`, so that it runs before any test is collected.

    Args:
        package: Dotted name of the package, such as `services.<service>.runtime`.
        variables: Environment variables of all functions.
    """
    with environment(variables):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)


def running(variables: Mapping[str, str]) -> Any:
    """Return a fixture that gives every test of a module a function's environment."""

    @pytest.fixture(scope="module", autouse=True)
    def function_environment(_nobody: None) -> Iterator[None]:
        with environment(variables):
            yield

    return function_environment


@dataclass
class Context:
    """A Lambda context."""

    function_name: str = "api"
    function_version: str = "7"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:111111111111:function:api:live"
    aws_request_id: str = "lambda-request"
    remaining: int = 29_000

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        return self.remaining


class Clock:
    """A clock that advances a second at every reading."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Return the time."""
        self.now += timedelta(seconds=1)
        return self.now


class Answer:
    """Answer of an API's function.

    Args:
        raw: The answer, as Lambda returns it.
    """

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.status: int = raw["statusCode"]
        self.text: str = raw["body"]
        several = {name: values[-1] for name, values in raw.get("multiValueHeaders", {}).items()}
        self.headers: dict[str, str] = {**several, **raw.get("headers", {})}

    @property
    def location(self) -> str:
        """Return the path of `Location` below the routes' root, as a client resolves it."""
        return urljoin("/", str(self.headers["Location"]))

    @property
    def json(self) -> Any:
        """Return the body with its numbers as they were sent."""
        from slipway_runtime.exact_json import loads

        return loads(self.text)

    @property
    def fields(self) -> list[str]:
        """Return the names of the fields at fault."""
        return [error["field"] for error in self.json["errors"]]


def answer_of(handler: Callable[[Any, Any], Any], event: Any, context: Context) -> Answer:
    """Call a handler as Lambda does: its event arrives as JSON, and its answer leaves as JSON."""
    return Answer(json.loads(json.dumps(handler(json.loads(json.dumps(event)), context))))


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Return header names from Python's keyword names."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def rest_event(
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    identity: Mapping[str, str | None] | None = None,
    parameters: Mapping[str, str] | None = None,
    encoded: bool = False,
) -> dict[str, Any]:
    """Return a REST API's proxy event. A body that isn't text is sent as JSON.

    Args:
        method: HTTP method.
        path: Path below the stage.
        body: Text, or data to be sent as JSON.
        headers: Beside those that every client sends.
        query: Of one value each.
        identity: The gateway's information about the caller, such as `userArn` or `apiKey`.
        parameters: Path parameters.
        encoded: Send the body as Base64.
    """
    text = body if body is None or isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    sent = _rest_headers(text, headers or {})
    if encoded and text is not None:
        text = base64.b64encode(text.encode()).decode()
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": dict(parameters) if parameters else None,
        "stageVariables": None,
        "requestContext": {
            "accountId": "111111111111",
            "apiId": "abc123",
            "httpMethod": method,
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "unit", **(identity or {})},
            "path": f"/live{path}",
            "protocol": "HTTP/1.1",
            "requestId": "gateway-request",
            "resourcePath": path,
            "stage": "live",
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def _rest_headers(text: str | None, headers: Mapping[str, str]) -> dict[str, str]:
    """Return what every client sends to a REST API, and these headers."""
    return {
        "Accept": "*/*",
        "Host": "abc123.execute-api.us-east-1.amazonaws.com",
        "User-Agent": "unit",
        "X-Amzn-Trace-Id": "Root=1-5e6722a7-cc56xmpl46db7ae02d4da47e",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Proto": "https",
        **({} if text is None else {"Content-Type": "application/json"}),
        **headers,
    }


def http_event(
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    claims: Mapping[str, str] | None = None,
    encoded: bool = False,
) -> dict[str, Any]:
    """Return an HTTP API's proxy event of format 2.0. A body that isn't text is sent as JSON.

    Args:
        method: HTTP method.
        path: Of the request.
        body: Text, or data to be sent as JSON.
        headers: Beside those that every client sends; an HTTP API writes their names in lower case.
        query: Of one value each.
        claims: Of the caller's token. None: a route without an authorizer.
        encoded: Send the body as Base64.
    """
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    sent = {
        "accept": "*/*",
        "host": "abc123.execute-api.us-east-1.amazonaws.com",
        **({} if text is None else {"content-type": "application/json"}),
        **{name.lower(): value for name, value in (headers or {}).items()},
    }
    if encoded and text is not None:
        text = base64.b64encode(text.encode()).decode()
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "unit"}
    # Like API Gateway, omit missing parts.
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in (query or {}).items()),
        "headers": sent,
        "requestContext": {
            "accountId": "111111111111",
            "apiId": "abc123",
            "http": http,
            "requestId": "gateway-request",
            "routeKey": f"{method} {path}",
            "stage": "$default",
            **({} if claims is None else {"authorizer": {"jwt": {"claims": dict(claims), "scopes": None}}}),
        },
        "isBase64Encoded": encoded,
        **({"queryStringParameters": dict(query)} if query else {}),
        **({} if text is None else {"body": text}),
    }


def sqs_event(bodies: Sequence[str], *, receives: int = 1, receipt: str | None = None) -> dict[str, Any]:
    """Return the event of an SQS mapping: a message for each body, with its place as its id."""
    return {
        "Records": [
            {
                "messageId": str(number),
                "receiptHandle": receipt or f"receipt-{number}",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": str(receives),
                    "SentTimestamp": "1767225600000",
                    "SenderId": "111111111111",
                    "ApproximateFirstReceiveTimestamp": "1767225600000",
                },
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:111111111111:queue",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


NO_FAILURES: dict[str, list[Any]] = {"batchItemFailures": []}
"""The answer to a batch in which every message was handled."""


def client_error(code: str, operation: str) -> Exception:
    """Return an error as botocore raises it."""
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code, "Message": "text that nobody outside may read"}}, operation)


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Yield the functions' log. Their log handler keeps the stream that was standard output when it was created."""
    from slipway_runtime.telemetry import logger

    written = io.StringIO()
    handler = logging.getLogger(logger.service).handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    before = handler.setStream(written)
    yield written
    if before is not None:
        handler.setStream(before)


Counted = Callable[[str], list[dict[str, Any]]]
"""Returns the counts of a metric since the last call, as documents of the embedded metric format."""


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str]) -> Counted:
    """Return a function that returns the functions' counts."""

    def since(name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith('{"_aws"')]
        return [
            line
            for line in lines
            for directive in line["_aws"]["CloudWatchMetrics"]
            if name in {metric["Name"] for metric in directive["Metrics"]}
        ]

    return since


def set_powertools() -> None:
    """Set what Powertools reads when it is imported, whichever test imports it first."""
    os.environ.update(POWERTOOLS)
