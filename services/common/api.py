"""What the routes of a JSON API have in common: reading a body, and the one way from an exception to an answer."""

import base64
import traceback
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from services.common.exact_json import InvalidJsonError, loads, printable
from services.common.http import NO_STORE, header, problem_response, write_content_type
from services.common.problems import FieldError, Problem, known_fields
from services.common.telemetry import count_fault, logger, metrics

Problems = Mapping[type[Exception], Callable[[], Problem]]
"""The answer that each of a service's own exceptions gets."""

FAULTS: Final = "faults"
"""Type of a validation error that carries several, as `faults` in its context: pairs of a path and a sentence."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A body's JSON object, its numbers exact; for a resolver's `json_body_deserializer`.

    Raises:
        Problem: It is no JSON, ambiguous, or no object.
    """
    try:
        document = loads(text)
    except InvalidJsonError as error:
        raise Problem(400, "The body cannot be read.", errors=[FieldError("body", str(error))]) from None
    # Powertools would take the first element of a list for the body.
    if not isinstance(document, dict):
        raise Problem(400, "The body cannot be read.", errors=[FieldError("body", "is not a JSON object")])
    return document


def check_body(event: dict[str, Any], *, max_bytes: int) -> None:
    """Checks of a proxy event's body that come before its parsing; its content type is then written plainly.

    Args:
        event: The proxy event of a request that has a body.
        max_bytes: How large the body may be.

    Raises:
        Problem: It is too large, not UTF-8, or not sent as JSON.
    """
    body = event.get("body") or ""
    if len(body) > 2 * max_bytes:
        raise too_large(max_bytes)
    try:
        size = len(base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode())
    except ValueError:
        raise Problem(400, "The body cannot be read.", errors=[FieldError("body", "is not UTF-8")]) from None
    if size > max_bytes:
        raise too_large(max_bytes)
    if (header(event, "content-type") or "").split(";")[0].strip().lower() != "application/json":
        raise _unsupported_media_type()
    write_content_type(event, "application/json")


def too_large(max_bytes: int) -> Problem:
    """The problem of a body that is larger than `max_bytes`."""
    return Problem(
        413, "The body is too large.", errors=[FieldError("body", f"is larger than {max_bytes // 1024} KiB")]
    )


def json_response(body: str, status: int, **headers: str) -> Response[str]:
    """An answer that nobody may keep."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=body,
        headers={"Cache-Control": NO_STORE, **headers},
    )


def refused(problem: Problem, event: Mapping[str, Any], fields: Container[str]) -> Response[str]:
    """The answer of a request that ends with a problem; a 5xx is a fault of the version that gives it.

    Args:
        problem: What the client is told.
        event: The proxy event.
        fields: Names that the service gives: fields of bodies, parameters, headers. Others are not logged.
    """
    logger.info("refused", extra={"status": problem.status, "fields": known_fields(problem, fields)})
    if problem.status >= 500:
        count_fault()
    return problem_response(problem, event)


def problem_of(error: Exception, expected: Problems, *, unavailable: tuple[type[Exception], ...] = ()) -> Problem:
    """The one way from an exception to a problem; nothing of an exception's text goes out.

    Args:
        error: What ended the request.
        expected: The service's own exceptions.
        unavailable: Exceptions, besides those of botocore, that say that something the service stands on is away.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, RequestUnsupportedContentType):
        return _unsupported_media_type()
    if isinstance(error, NotFoundError):
        return Problem(404, "There is no such route.", errors=[FieldError("path", "is none of the API")])
    if isinstance(error, UnicodeDecodeError):
        # Of the body, by Powertools, where the gateway sent it as base64.
        return Problem(400, "The body cannot be read.", errors=[FieldError("body", "is not UTF-8")])
    for kind, problem in expected.items():
        if isinstance(error, kind):
            return problem()
    if isinstance(error, (BotoCoreError, ClientError, *unavailable)):
        logger.error("dependency failed", extra={"error": error_name(error), "where": _where(error)})
        return Problem(503, headers={"Retry-After": "1"})
    metrics.add_metric("UnexpectedErrors", MetricUnit.Count, 1)
    logger.error("unexpected error", extra={"error": error_name(error), "where": _where(error)})
    return Problem(500)


def error_name(error: BaseException) -> str:
    """What happened, without the error's text: that can quote a request or a secret."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response.get('Error', {}).get('Code', 'unknown')}"
    return type(error).__name__


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901), fit for an error document."""
    return "".join(f"/{printable(str(part)).replace('~', '~0').replace('/', '~1')}" for part in parts)


def _where(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def _unsupported_media_type() -> Problem:
    return Problem(415, "The body is not JSON.", errors=[FieldError("Content-Type", "is not application/json")])


def _invalid(error: RequestValidationError) -> Problem:
    errors = [field_error for fault in error.errors() for field_error in _field_errors(fault)]
    return Problem(400, "The request is not valid.", errors=errors)


def _field_errors(fault: Mapping[str, Any]) -> list[FieldError]:
    context = fault.get("ctx") or {}
    if fault["type"] == FAULTS:
        return [FieldError(path, message) for path, message in context[FAULTS]]
    # The first part says where: body, query, path or header.
    place, *path = fault["loc"]
    message = printable(str(fault["msg"]), 200)
    if place == "body":
        return [FieldError(pointer(*path) or "body", message)]
    return [FieldError(printable(".".join(map(str, path)) or str(place)), message)]
