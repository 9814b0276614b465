"""A probe: contract checks sent by schedule to the public address of what is deployed, as callers send requests.

A pre-traffic hook (`slipway_runtime.hook`) invokes a version before it takes traffic. A probe keeps asking afterwards,
through DNS, the edge and the gateway, and reads the answer's body: nothing else notices a wrong body with status 200.

Each run counts metrics for the function's own name:
    ProbeSuccess: 1, or 0 if an answer broke the contract. Not written if the only failures were unanswered requests.
    ProbeUnanswered: 1 if the gateway answered in the service's place (429, or a 5xx that API Gateway made since it
        could not invoke the function), else 0. Callers can cause that, so it must not count against a version
        (slipway.blocks.alarms).
    ProbeLatency: milliseconds of each answer, including the connection's setup for the first.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple, TypedDict
from urllib.parse import urlencode

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.session import get_session
from botocore.utils import get_environ_proxies

from slipway_runtime import aws
from slipway_runtime.hook import Check, CheckFailedError
from slipway_runtime.telemetry import Handler, lambda_handler, logger

API: Final = "PROBE_API"
"""Variable with the API's address, ending in a slash."""

EDGE: Final = "PROBE_EDGE"
"""Variable with the address of the distribution in front of the API, ending in a slash."""

API_KEY: Final = "PROBE_API_KEY_ID"
"""Variable with the id of the API key that `keyed` checks send."""

_TOO_MANY: Final = 429
_SERVER_ERRORS: Final = 500
_PAUSE_SECONDS: Final = 2.0
# API Gateway answers after 29 s at the latest, an HTTP API after 30 s.
_CONNECT_AND_READ_SECONDS: Final = (5, 35)

Send = Callable[[AWSRequest], tuple[int, Mapping[str, str], str]]
"""Sends a request and returns status, headers and text of the answer."""


class PublicCheck(NamedTuple):
    """One request to the public address. It must change nothing, since it is sent for as long as the service exists.

    Attributes:
        check: The request, as a proxy event, and what its answer must be. A contract check can be used unchanged.
        edge: True if the request is sent to the distribution. Default: to the API itself.
        keyed: True if the request carries the service's API key. Default: False.
    """

    check: Check
    edge: bool = False
    keyed: bool = False


class ProbeReport(TypedDict):
    """Result of a run: the checks that failed and those that the service didn't answer, with the reasons."""

    failures: list[str]
    unanswered: list[str]


class UnansweredError(Exception):
    """The gateway answered in the service's place. Its text quotes no answer, so it is logged."""


class Probe:
    """Sends checks to a service and counts the results.

    A check that fails is repeated once: one lost connection says nothing about the service.

    Args:
        checks: The requests and what their answers must be.
        addresses: Address of the API by `API`, and of the edge by `EDGE` if there is one.
        send: Sends a request. Default: over HTTPS, without following redirects.
        api_key: Returns the API key that `keyed` checks send.
        pause: Waits for a number of seconds. Default: `time.sleep`.
    """

    def __init__(
        self,
        *,
        checks: Sequence[PublicCheck],
        addresses: Mapping[str, str],
        api_key: Callable[[], str],
        send: Send | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._checks = checks
        self._addresses = addresses
        self._api_key = api_key
        self._send = send or _send
        self._pause = pause
        self._latencies: list[float] = []

    def run(self) -> ProbeReport:
        """Send all checks, count and log the results, and return them."""
        self._latencies = []
        report = ProbeReport(failures=[], unanswered=[])
        for check in self._checks:
            try:
                self._judge(check)
            except UnansweredError as reason:
                report["unanswered"].append(f"{check.check.name}: {reason}")
            except CheckFailedError as reason:
                report["failures"].append(f"{check.check.name}: {reason}")
        logger.info("probe", extra={**report})
        self._count(report)
        return report

    def _judge(self, check: PublicCheck) -> None:
        try:
            self._try(check)
        except (CheckFailedError, UnansweredError):
            self._pause(_PAUSE_SECONDS)
            self._try(check)

    def _try(self, check: PublicCheck) -> None:
        """Send one check and verify its answer.

        Raises:
            UnansweredError: The gateway answered in the service's place.
            CheckFailedError: The answer is wrong or missing.
        """
        try:
            begin = time.monotonic()
            answer = _answer(*self._send(self._request(check)))
            self._latencies.append(round((time.monotonic() - begin) * 1000, 1))
            _require_the_services(answer)
            check.check.verify(answer)
        except (CheckFailedError, UnansweredError):
            raise
        except Exception as error:  # Whatever failed, the caller didn't get the answer that the contract promises.
            raise CheckFailedError(type(error).__name__) from error

    def _request(self, check: PublicCheck) -> AWSRequest:
        event = check.check.event
        method, path, query = _target(event)
        headers = {**event.get("headers", {}), "User-Agent": "slipway-probe"}
        if check.keyed:
            headers["x-api-key"] = self._api_key()
        address = self._addresses[EDGE if check.edge else API]
        url = f"{address}{path.removeprefix('/')}{f'?{query}' if query else ''}"
        body = event.get("body")
        return AWSRequest(method=method, url=url, headers=headers, data=body.encode() if body else None)

    def _count(self, report: ProbeReport) -> None:
        counted = EphemeralMetrics()
        counted.add_dimension("function_name", os.environ["AWS_LAMBDA_FUNCTION_NAME"])
        # As in `slipway_runtime.telemetry.count_fault`: a line without a level is dropped if INFO lines are.
        counted.add_metadata("level", "ERROR")
        if report["failures"] or not report["unanswered"]:
            counted.add_metric("ProbeSuccess", MetricUnit.Count, 0 if report["failures"] else 1)
        counted.add_metric("ProbeUnanswered", MetricUnit.Count, 1 if report["unanswered"] else 0)
        for milliseconds in self._latencies:
            counted.add_metric("ProbeLatency", MetricUnit.Milliseconds, milliseconds)
        counted.flush_metrics()


def probe(checks: Sequence[PublicCheck]) -> Handler:
    """Return the handler that a schedule invokes to send checks to the addresses in its variables.

    Args:
        checks: The requests to send each time.
    """

    @lambda_handler()
    def handler(_event: Mapping[str, Any], _context: LambdaContext) -> ProbeReport:
        addresses = {name: os.environ[name] for name in (API, EDGE) if name in os.environ}
        return Probe(checks=checks, addresses=addresses, api_key=_api_key).run()

    return handler


@cache
def _api_key() -> str:
    value: str = aws.client("apigateway").get_api_key(apiKey=os.environ[API_KEY], includeValue=True)["value"]
    return value


def _send(request: AWSRequest) -> tuple[int, Mapping[str, str], str]:
    prepared = request.prepare()
    verify = get_session().get_config_variable("ca_bundle") or True
    session = URLLib3Session(
        verify=verify,
        proxies=get_environ_proxies(prepared.url),
        timeout=_CONNECT_AND_READ_SECONDS,  # type: ignore[arg-type]  # the class accepts both, its stubs only one
    )
    try:
        response = session.send(prepared)
        return response.status_code, response.headers, response.text
    finally:
        session.close()


def _target(event: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return method, path and query string of a proxy event of a REST or an HTTP API."""
    if "rawPath" in event:
        return event["requestContext"]["http"]["method"], event["rawPath"], event.get("rawQueryString", "")
    return event["httpMethod"], event["path"], urlencode(event.get("queryStringParameters") or {})


def _answer(status: int, headers: Mapping[str, str], text: str) -> dict[str, Any]:
    """Return an answer in the format that a function returns to API Gateway."""
    # Names of headers may be in any case, and are in lower case over HTTP/2.
    named = {"-".join(part.capitalize() for part in name.split("-")): value for name, value in headers.items()}
    return {
        "statusCode": status,
        "headers": named,
        "multiValueHeaders": {name: [value] for name, value in named.items()},
        "body": text,
    }


def _require_the_services(answer: Mapping[str, Any]) -> None:
    """Raise `UnansweredError` for an answer that the gateway gave in the service's place."""
    if _is_the_gateways(answer):
        raise UnansweredError(f"answered {answer['statusCode']} by the gateway")


def _is_the_gateways(answer: Mapping[str, Any]) -> bool:
    """Return True for an answer that says that the service was not reached.

    API Gateway answers with 500 when Lambda throttles the function
    (https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway-errors.html). It is recognised by the missing
    member `status`, which every problem of the service has and a gateway's own lacks (slipway.blocks.rest).
    """
    if answer["statusCode"] == _TOO_MANY:
        return True
    if answer["statusCode"] < _SERVER_ERRORS:
        return False
    try:
        content = json.loads(answer["body"])
    except ValueError:
        return False
    return isinstance(content, dict) and "status" not in content
