"""What every answer of a REST API's function has: CORS, caching, and errors of one shape.

The gateway answers preflight requests and its own errors; a browser needs the headers on the function's answers too.
"""

from collections.abc import Mapping
from typing import Any, Final

from aws_lambda_powertools.event_handler import CORSConfig, Response

from services.common import problems
from services.common.problems import Problem

NO_STORE: Final = "no-store"


class Cors:
    """CORS headers for the origins of the configuration.

    Args:
        origins: Comma separated; `*` allows all, empty none. Credentials are never allowed.
    """

    def __init__(self, origins: str) -> None:
        allowed = [origin.strip() for origin in origins.split(",") if origin.strip()]
        self._any = "*" in allowed
        self._config = (
            CORSConfig(
                allow_origin=allowed[0],
                extra_origins=allowed[1:],
                allow_headers=["Idempotency-Key", "If-Match", "If-None-Match"],
                expose_headers=["ETag", "Location", "Retry-After"],
                max_age=600,
            )
            if allowed
            else None
        )

    def headers(self, origin: str | None) -> dict[str, str]:
        """The headers for a request from this origin.

        With `*` they are on every answer, since a cache may give an answer to a browser that another client asked for.
        """
        if self._config is None:
            return {}
        if self._any:
            return self._config.to_dict("*")
        allowed = self._config.allowed_origin(origin) if origin else None
        return self._config.to_dict(allowed) | {"Vary": "Origin"}


def header(event: Mapping[str, Any], name: str) -> str | None:
    """A header of a proxy event, whatever the case of its name; the last one where there are more."""
    for key, value in (event.get("headers") or {}).items():
        if key.lower() == name:
            return value if isinstance(value, str) else None
    for key, values in (event.get("multiValueHeaders") or {}).items():
        if key.lower() == name and values:
            return str(values[-1])
    return None


def write_content_type(event: dict[str, Any], media_type: str) -> None:
    """Replaces the content type of a proxy event, once it is checked.

    Names of media types know no case (RFC 9110, 8.3.1), but Powertools compares them as they are written.
    """
    for key, value in (("headers", media_type), ("multiValueHeaders", [media_type])):
        headers: dict[str, Any] = event.get(key) or {}
        for name in [name for name in headers if name.lower() == "content-type"]:
            headers[name] = value


def request_id(event: Mapping[str, Any]) -> str:
    """API Gateway's id of the request, as in its access log."""
    return str((event.get("requestContext") or {}).get("requestId", ""))


def problem_response(problem: Problem, event: Mapping[str, Any]) -> Response[str]:
    """The answer of a request that ends with a problem."""
    return Response(
        status_code=problem.status,
        content_type=problems.CONTENT_TYPE,
        # Of a REST API, or of an HTTP API in format 2.0.
        body=problem.document(
            instance=str(event.get("path") or event.get("rawPath", "")), request_id=request_id(event)
        ),
        headers={"Cache-Control": NO_STORE, **problem.headers},
    )
