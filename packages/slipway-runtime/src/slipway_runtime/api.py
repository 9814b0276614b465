"""What the routes of a JSON API have in common: reading a body, and the one way from an exception to an answer."""

import base64
import traceback
from collections.abc import Callable, Container, Mapping
from typing import Any, Final, NamedTuple

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from slipway_runtime.exact_json import InvalidJsonError, dumps, holds_more, loads, printable
from slipway_runtime.http import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HEADER_NAMES,
    NO_STORE,
    header,
    problem_response,
    set_header,
)
from slipway_runtime.problems import MAX_ERRORS, FieldError, Problem, known_fields, pointer
from slipway_runtime.telemetry import count_fault, logger, metrics

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


class BodyLimits(NamedTuple):
    """What a body may hold at most. Depth has a limit of its own (`exact_json.MAX_DEPTH`), named with its path.

    Attributes:
        size: Bytes as they are sent, and of data once it is written again.
        values: JSON values. A parsed value takes 50 to 100 bytes, however short it is written.
    """

    size: int
    values: int


DATA_LIMITS: Final = BodyLimits(size=256 * 1024, values=10_000)
"""Of bodies with free data: 256 KiB and 10,000 values.

As text, data of this size fits into an item of DynamoDB (400 KB) beside all else that an item has, and into the event
of an asynchronous invocation (1 MB), escaped. `make bench` says what the worst bodies cost.
"""


def check_body(event: dict[str, Any], limits: BodyLimits) -> None:
    """Check a proxy event's body before it is parsed, then write its content type plainly.

    A body that is not UTF-8 is refused where that can still be seen. API Gateway hands a body on as text, what it could
    not decode replaced by U+FFFD; then the length is another than was announced. REST APIs hand on no `Content-Length`:
    there a U+FFFD that was sent cannot be told from one that was made.

    Args:
        event: The proxy event of a request that has a body.
        limits: What the body may hold.

    Raises:
        Problem: It holds too much, is not UTF-8, or is not sent as JSON.
    """
    text = _text_of(event, limits)
    if text is not None and holds_more(text, limits.values):
        raise Problem(
            413, "The body holds too much.", errors=[FieldError("body", f"holds more than {limits.values} JSON values")]
        )
    _check_coding(event, text)
    if text is None or _was_replaced(event, text):
        raise Problem(400, "The body cannot be read.", errors=[FieldError("body", "is not UTF-8")])
    if (header(event, CONTENT_TYPE) or "").split(";")[0].strip().lower() != "application/json":
        raise _unsupported_media_type()
    set_header(event, CONTENT_TYPE, "application/json")


def canonical(data: dict[str, Any], limits: BodyLimits) -> str:
    """Return data as it is stored: its one form as JSON text.

    Raises:
        Problem: It is larger than a body may be, once its numbers are written out.
    """
    text = dumps(data)
    if len(text.encode()) > limits.size:
        message = f"is larger than {limits.size // 1024} KiB with its numbers written out"
        raise Problem(413, "The data is too large.", errors=[FieldError(pointer("data"), message)])
    return text


def _text_of(event: dict[str, Any], limits: BodyLimits) -> str | None:
    """Return the body's text; None where it is not UTF-8."""
    body = event.get("body") or ""
    if len(body) > 2 * limits.size:
        raise _too_large(limits)
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        return None
    if len(content) > limits.size:
        raise _too_large(limits)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _check_coding(event: dict[str, Any], text: str | None) -> None:
    """Refuse a content coding, unless API Gateway has undone it.

    REST APIs do, for gzip and deflate; whether they leave the header is not documented:
    docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-make-request-with-compressed-payload.html
    """
    if (header(event, CONTENT_ENCODING) or "identity").strip().lower() == "identity":
        return
    try:
        loads(text or "")
    except InvalidJsonError:
        raise Problem(
            415,
            "The body is compressed.",
            errors=[FieldError(CONTENT_ENCODING, "is not `identity`")],
            headers={"Accept-Encoding": "identity"},
        ) from None


def _was_replaced(event: dict[str, Any], text: str) -> bool:
    """Tell whether bytes that are not UTF-8 became U+FFFD on their way: the text is longer then than what was sent."""
    if "\ufffd" not in text or event.get("isBase64Encoded") or header(event, CONTENT_ENCODING):
        return False
    announced = (header(event, "Content-Length") or "").strip()
    return announced.isdecimal() and announced.lstrip("0") != str(len(text.encode()))


def _too_large(limits: BodyLimits) -> Problem:
    fault = FieldError("body", f"is larger than {limits.size // 1024} KiB")
    return Problem(413, "The body is too large.", errors=[fault])


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


def _where(error: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]


def _unsupported_media_type() -> Problem:
    return Problem(415, "The body is not JSON.", errors=[FieldError(CONTENT_TYPE, "is not application/json")])


def _invalid(error: RequestValidationError) -> Problem:
    errors = [field_error for fault in error.errors() for field_error in _field_errors(fault)]
    if len(errors) > MAX_ERRORS:
        more = FieldError("body", f"has {len(errors)} faults; the first {MAX_ERRORS} are named")
        errors = [*errors[:MAX_ERRORS], more]
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
    name = ".".join(map(str, path)) or str(place)
    return [FieldError(printable(HEADER_NAMES.get(name, name) if place == "header" else name), message)]
