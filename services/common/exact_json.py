"""JSON whose numbers stay exact, within what DynamoDB holds.

`json` turns `0.1` into a binary float and writes no `Decimal`. Here numbers are `Decimal` both ways, and
`require_exact` refuses what a DynamoDB item could not give back as it came.
"""

import json
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

# docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html, "Number":
# 38 digits, magnitudes from 1E-130 to 9.99…E+125.
MAX_DIGITS: Final = 38
_MIN_EXPONENT: Final = -130
_MAX_EXPONENT: Final = 125
# DynamoDB nests 32 deep; an item and its stream's image put levels of their own around it.
MAX_DEPTH: Final = 20
# Beyond this many places a number is written with an exponent, as DynamoDB's 1E+125 would be 126 digits.
_PLAIN_PLACES: Final = 40

# Wide enough for any number that can be stored; never rounds.
_EXACT: Final = Context(prec=MAX_DIGITS, traps=[Inexact])
_CONSTANTS: Final = {None: "null", True: "true", False: "false"}
_quoted: Callable[[str], str] = json.encoder.encode_basestring


class InvalidJsonError(ValueError):
    """The text is no JSON, or JSON that means different things to different readers."""


class InexactError(ValueError):
    """A value that would not come back as it went in.

    Attributes:
        path: Where it stands.
        reason: What is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.path = ""
        self.reason = reason

    def within(self, part: str) -> None:
        """Names a part of the document that the value is in, from the inside out."""
        self.path = f"{part}{self.path}"


def loads(text: str | bytes) -> Any:
    """Parses JSON; every number becomes a `Decimal`, even `NaN` and the infinities (`require_exact` refuses them).

    Raises:
        InvalidJsonError: Not JSON, nested deeper than the parser goes, or one object has a key twice.
    """
    try:
        return json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=Decimal, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"is not JSON: line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise InvalidJsonError("is not UTF-8") from None
    except RecursionError:
        raise InvalidJsonError(f"is nested deeper than {MAX_DEPTH} levels") from None


def dumps(value: Any) -> str:
    """Writes compact JSON, equal values always alike.

    Keys are sorted, since DynamoDB's maps have no order, and `1.10` is `1.1`, since its numbers have no trailing zeros.
    So a version of an item has one representation, and its `ETag` is a strong one.
    """
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts)


def require_exact(value: Any, path: str) -> None:
    """Refuses a parsed document that DynamoDB could not give back as it came.

    Args:
        value: What `loads` returned, or a part of it.
        path: How a person would name that part, such as `data`.

    Raises:
        InexactError: With the path of the first value at fault.
    """
    try:
        _check(value, 1)
    except InexactError as error:
        error.within(path)
        raise


def number_text(number: Decimal | int) -> str:
    """The one way to write a number: in full up to 40 places, with an exponent beyond, never with trailing zeros.

    Raises:
        TypeError: It is neither `Decimal` nor `int`, not finite, or has more digits than DynamoDB holds.
    """
    if type(number) is int:
        return str(number)
    if type(number) is not Decimal or not number.is_finite():
        raise TypeError(f"{type(number).__name__} is not JSON")
    text = str(number)
    # Most numbers: digits, and few of them.
    if text.isdigit() and len(text) <= MAX_DIGITS:
        return text
    if not number:
        return "0"
    try:
        shortest = number.normalize(_EXACT)
    except Inexact:
        raise TypeError(f"more than {MAX_DIGITS} digits") from None
    return f"{shortest:f}" if abs(shortest.adjusted()) < _PLAIN_PLACES else str(shortest)


def printable(text: str, limit: int = 100) -> str:
    """Text of a stranger, made fit for an error document: valid Unicode, and not longer than `limit` characters."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else f"{clean[:limit]}…"


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        # An exponent beyond Decimal's own range. It is no number DynamoDB holds either.
        return Decimal("NaN")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJsonError(f"has the key {printable(twice)!r} twice in one object")
    return members


def _check(value: Any, depth: int) -> None:
    kind = type(value)
    if kind is str:
        _check_text(value)
    elif kind is Decimal:
        _check_number(value)
    elif kind is dict or kind is list:
        if depth > MAX_DEPTH:
            raise InexactError(f"is nested deeper than {MAX_DEPTH} levels")
        if kind is dict:
            _check_members(value, depth)
        else:
            _check_elements(value, depth)


def _check_members(members: dict[str, Any], depth: int) -> None:
    for key, element in members.items():
        if not key:
            raise InexactError("has an empty key")
        _check_text(key)
        try:
            _check(element, depth + 1)
        except InexactError as error:
            error.within(f".{key}")
            raise


def _check_elements(elements: list[Any], depth: int) -> None:
    for index, element in enumerate(elements):
        try:
            _check(element, depth + 1)
        except InexactError as error:
            error.within(f"[{index}]")
            raise


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InexactError("has a surrogate without its pair") from None


def _check_number(number: Decimal) -> None:
    if not number.is_finite():
        raise InexactError("is no number that can be stored")
    if not number:
        return
    if not _MIN_EXPONENT <= number.adjusted() <= _MAX_EXPONENT:
        raise InexactError("is out of range: 1E-130 to 9.99E+125, or the same below zero")
    digits = number.as_tuple().digits
    if len(digits) > MAX_DIGITS and len("".join(map(str, digits)).strip("0")) > MAX_DIGITS:
        raise InexactError(f"has more than {MAX_DIGITS} significant digits")


def _write(value: Any, out: Callable[[str], None]) -> None:
    kind = type(value)
    if kind is str:
        out(_quoted(value))
    elif kind is dict:
        separator = "{"
        for key in sorted(value):
            out(f"{separator}{_quoted(key)}:")
            _write(value[key], out)
            separator = ","
        out("}" if separator == "," else "{}")
    elif kind is list:
        separator = "["
        for element in value:
            out(separator)
            _write(element, out)
            separator = ","
        out("]" if separator == "," else "[]")
    elif value is None or kind is bool:
        out(_CONSTANTS[value])
    else:
        out(number_text(value))
