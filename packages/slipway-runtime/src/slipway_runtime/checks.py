"""Requests of contract checks to a new version, and assertions about its answer."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from slipway_runtime.hook import require

_ID: Final = "contract-check"
_TITLED: Final = "application/problem+json"


def rest_request(
    method: str,
    path: str,
    *,
    body: str | None = None,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return a proxy event of a REST API, with the parts that a function reads."""
    sent = {"Content-Type": "application/json", **(headers or {})}
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": dict(query) if query else None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} if query else None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {"requestId": _ID, "stage": "live", "path": path, "httpMethod": method, "identity": {}},
        "body": body,
        "isBase64Encoded": False,
    }


def http_request(
    method: str, path: str, *, body: str | None = None, claims: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a proxy event of an HTTP API (format 2.0), with the claims of a token that the gateway has checked."""
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "requestId": _ID,
            "stage": "$default",
            "http": {"method": method, "path": path},
            **({"authorizer": {"jwt": {"claims": dict(claims)}}} if claims else {}),
        },
        "body": body,
        "isBase64Encoded": False,
    }


def healthy(answer: Mapping[str, Any]) -> None:
    """Require the answer of a health check that a published version gave."""
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")
    version = json.loads(answer["body"])["function_version"]
    require(version != "$LATEST", "the answer came from $LATEST, not from a version")


def well(answer: Mapping[str, Any]) -> None:
    """Require a health check's answer with the status `ok`, from any version or from the gateway itself."""
    require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")
    status = json.loads(answer["body"])["status"]
    require(status == "ok", f"the status is {status!r}, not 'ok'")


def lists(member: str, *names: str) -> Callable[[Mapping[str, Any]], None]:
    """Return a check that requires one page of a list.

    Args:
        member: Name of the list in the body.
        names: Members that each entry has.
    """

    def verify(answer: Mapping[str, Any]) -> None:
        require(answer["statusCode"] == 200, f"answered {answer['statusCode']}")
        entries = json.loads(answer["body"])[member]
        require(isinstance(entries, list), f"{member!r} is not a list")
        for entry in entries:
            require(set(names) <= set(entry), f"an entry of {member!r} has no {sorted(set(names) - set(entry))}")

    return verify


def is_problem(status: int) -> Callable[[Mapping[str, Any]], None]:
    """Return a check that requires a problem of a status."""

    def verify(answer: Mapping[str, Any]) -> None:
        require(answer["statusCode"] == status, f"answered {answer['statusCode']}, not {status}")
        content_type = (answer.get("multiValueHeaders") or answer["headers"])["Content-Type"]
        require(content_type in (_TITLED, [_TITLED]), f"answered with {content_type}")
        require(json.loads(answer["body"])["status"] == status, "the problem names another status")

    return verify


def is_refused(status: int) -> Callable[[Mapping[str, Any]], None]:
    """Return a check that requires only a status: API Gateway's own refusals are not always problem documents."""
    return lambda answer: require(answer["statusCode"] == status, f"answered {answer['statusCode']}, not {status}")


def is_equal_to(expected: Any, otherwise: str) -> Callable[[Any], None]:
    """Return a check that requires an exact answer.

    Args:
        expected: The answer.
        otherwise: The failure's message if the answer differs.
    """
    return lambda answer: require(answer == expected, otherwise)


EMPTY_BATCH: Final[Mapping[str, Any]] = {"Records": []}
"""Event for a reader of a queue or a stream, without records."""

no_failures: Final = is_equal_to({"batchItemFailures": []}, "an empty batch has failures")
"""Require that a batch was handled."""
