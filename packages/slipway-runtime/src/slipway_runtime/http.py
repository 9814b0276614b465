"""HTTP in API Gateway's proxy events, of REST APIs and of HTTP APIs (format 2.0)."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from aws_lambda_powertools.event_handler import CORSConfig, Response

from slipway_runtime import problems
from slipway_runtime.problems import Problem

NO_STORE: Final = "no-store"

API_KEY: Final = "X-Api-Key"
AUTHORIZATION: Final = "Authorization"
CONTENT_ENCODING: Final = "Content-Encoding"
CONTENT_TYPE: Final = "Content-Type"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"

HEADER_NAMES: Final = {
    name.lower(): name
    for name in (API_KEY, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH)
}
"""Usual spelling of request headers, by Powertools' spelling."""

# Characters that a path may contain unencoded (RFC 3986, 3.3), and the mark of encoded ones.
_IN_PATHS: Final = "/-._~!$&'()*+,;=:@%"
_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Cors:
    """CORS headers for the origins of the configuration.

    The gateway answers preflight requests and its own errors; a browser needs the headers on other answers too.

    Args:
        origins: Comma-separated; `*` allows all, empty allows none. Credentials are never allowed.
    """

    def __init__(self, origins: str) -> None:
        allowed = [origin.strip() for origin in origins.split(",") if origin.strip()]
        self._any = "*" in allowed
        self._config = (
            CORSConfig(
                allow_origin=allowed[0],
                extra_origins=allowed[1:],
                allow_headers=[IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH],
                expose_headers=["ETag", "Location", "Retry-After"],
                max_age=600,
            )
            if allowed
            else None
        )

    def headers(self, origin: str | None) -> dict[str, str]:
        """Return the CORS headers for a request from this origin.

        With `*` they are on every answer, since a cache may serve a browser an answer that another client requested.
        """
        if self._config is None:
            return {}
        if self._any:
            return self._config.to_dict("*")
        allowed = self._config.allowed_origin(origin) if origin else None
        return self._config.to_dict(allowed) | {"Vary": "Origin"}


def header(event: Mapping[str, Any], name: str) -> str | None:
    """Return a header of a proxy event, whatever the case of its name; the last one if repeated."""
    wanted = name.lower()
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == wanted:
            return value if isinstance(value, str) else None
    for key, values in (event.get("multiValueHeaders") or {}).items():
        if key.lower() == wanted and values:
            return str(values[-1])
    return None


def method_of(event: Mapping[str, Any]) -> str:
    """Return the method of a proxy event."""
    return str(event.get("httpMethod") or _http(event).get("method", ""))


def path_of(event: Mapping[str, Any]) -> str:
    """Return the path of a proxy event as its routes know it: without the stage."""
    return str(event.get("path") or event.get("rawPath", ""))


def as_get(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a HEAD as that of a GET, and any other unchanged.

    The answer keeps its content: API Gateway, like any server, counts it for `Content-Length` and leaves it out (RFC
    9110, 9.3.2). If the function emptied it, the length would be 0.
    """
    if method_of(event) != "HEAD":
        return event
    context = event.get("requestContext") or {}
    if "httpMethod" in event:
        return {**event, "httpMethod": "GET", "requestContext": {**context, "httpMethod": "GET"}}
    return {**event, "requestContext": {**context, "http": {**_http(event), "method": "GET"}}}


def join_lines(event: dict[str, Any], *names: str) -> None:
    """Join repeated headers that are lists into one line (RFC 9110, 5.3): Powertools accepts a header given once."""
    headers: dict[str, Any] = event.get("multiValueHeaders") or {}
    for name, values in headers.items():
        if len(values) > 1 and HEADER_NAMES.get(name.lower()) in names:
            headers[name] = [", ".join(map(str, values))]


def set_header(event: dict[str, Any], name: str, value: str) -> None:
    """Replace a header of a proxy event by its normalised value after it was checked; an absent one stays absent.

    Names of media types ignore case (RFC 9110, 8.3.1), but Powertools compares them as they are written.
    """
    for key, written in (("headers", value), ("multiValueHeaders", [value])):
        headers: dict[str, Any] = event.get(key) or {}
        for sent in [sent for sent in headers if sent.lower() == name.lower()]:
            headers[sent] = written


def request_id(event: Mapping[str, Any]) -> str:
    """Return API Gateway's id of the request, as in its access log."""
    return str((event.get("requestContext") or {}).get("requestId", ""))


def location(event: Mapping[str, Any], reference: str) -> str:
    """Return the `Location` of a resource, resolvable at whatever address the client called.

    A relative reference is resolved against the request's own address (RFC 9110, 10.2.2): with the stage, below the
    base path of a domain name, or directly below the host.

    Args:
        event: The proxy event.
        reference: The resource relative to the folder of the route, such as `items/7` for `POST /items`.
    """
    return f"../{reference}" if path_of(event).endswith("/") else reference


def instance(event: Mapping[str, Any]) -> str:
    """Return the request's path, including the stage, as a problem's URI reference (RFC 9457, 3.1.5)."""
    context = event.get("requestContext") or {}
    path = str(context.get("path") or _http(event).get("path") or path_of(event))
    # API Gateway may pass a path decoded or as it was sent: what is already encoded is not encoded again.
    return _LONE_PERCENT.sub("%25", quote(path.encode("utf-8", "replace"), safe=_IN_PATHS))


def problem_response(problem: Problem, event: Mapping[str, Any]) -> Response[str]:
    """Return the answer to a request that failed with a problem."""
    return Response(
        status_code=problem.status,
        content_type=problems.CONTENT_TYPE,
        body=problem.document(instance=instance(event), request_id=request_id(event)),
        headers={"Cache-Control": NO_STORE, **problem.headers},
    )


def proxy_answer(response: Response[str], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer that no route produced, in the format that the event's API reads."""
    headers = {"Content-Type": response.content_type, **response.headers}
    answer = {"statusCode": response.status_code, "body": response.body, "isBase64Encoded": False}
    if "httpMethod" in event:
        return answer | {"multiValueHeaders": {name: [str(value)] for name, value in headers.items()}}
    return answer | {"headers": headers, "cookies": []}


def _http(event: Mapping[str, Any]) -> dict[str, Any]:
    return dict((event.get("requestContext") or {}).get("http") or {})
