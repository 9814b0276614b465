"""Bodies of requests: limits and parsing."""

import base64
from typing import Any, Final, NamedTuple

from slipway_runtime.exact_json import InvalidJsonError, dumps, holds_more, loads
from slipway_runtime.http import CONTENT_ENCODING, CONTENT_TYPE, header, set_header
from slipway_runtime.problems import FieldError, Problem, pointer


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return a body's JSON object with exact numbers, as a resolver's `json_body_deserializer`.

    Raises:
        Problem: It is not JSON, ambiguous, or not an object.
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
    """Limits of a body. Depth has its own limit (`exact_json.MAX_DEPTH`), which is reported with its path.

    Attributes:
        size: Bytes, both as sent and as stored (`stored`).
        values: Number of JSON values. A parsed value takes 50 to 100 bytes, however short its text is.
    """

    size: int
    values: int


DATA_LIMITS: Final = BodyLimits(size=256 * 1024, values=10_000)
"""Limits of bodies with arbitrary data: 256 KiB and 10,000 values.

As text, data of this size fits into an item of DynamoDB (400 KB) beside the item's other attributes, and, escaped, into
the event of an asynchronous invocation (1 MB). `make bench` measures the worst bodies.
"""


def check_body(event: dict[str, Any], limits: BodyLimits) -> None:
    """Check a proxy event's body before it is parsed, then normalise its content type.

    A body that is not UTF-8 is refused if that can still be detected. API Gateway passes a body on as text, with
    undecodable bytes replaced by U+FFFD; then the length differs from `Content-Length`. REST APIs do not pass that
    header on, so a U+FFFD that was sent cannot be distinguished from a replaced byte.

    Args:
        event: The proxy event of a request that has a body.
        limits: Maximum size and number of values.

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
        raise unsupported_media_type()
    set_header(event, CONTENT_TYPE, "application/json")


def canonical(data: dict[str, Any], limits: BodyLimits) -> str:
    """Return data as canonical JSON text, the form in which it is stored.

    Raises:
        Problem: It is larger than a body may be, once its numbers are written out.
    """
    text = dumps(data)
    if len(text.encode()) > limits.size:
        message = f"is larger than {limits.size // 1024} KiB with its numbers written out"
        raise Problem(413, "The data is too large.", errors=[FieldError(pointer("data"), message)])
    return text


def _text_of(event: dict[str, Any], limits: BodyLimits) -> str | None:
    """Return the body's text; None if it is not UTF-8."""
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
    """Return True if bytes that are not UTF-8 became U+FFFD on the way: the text is then longer than what was sent."""
    if "\ufffd" not in text or event.get("isBase64Encoded") or header(event, CONTENT_ENCODING):
        return False
    announced = (header(event, "Content-Length") or "").strip()
    return announced.isdecimal() and announced.lstrip("0") != str(len(text.encode()))


def _too_large(limits: BodyLimits) -> Problem:
    fault = FieldError("body", f"is larger than {limits.size // 1024} KiB")
    return Problem(413, "The body is too large.", errors=[fault])


def unsupported_media_type() -> Problem:
    """Return the problem of a body that is not sent as JSON."""
    return Problem(415, "The body is not JSON.", errors=[FieldError(CONTENT_TYPE, "is not application/json")])
