"""JSON whose numbers stay exact, within what DynamoDB holds.

`json` turns `0.1` into a binary float and writes no `Decimal`. Here numbers are `Decimal` both ways, and `fault_of`
reports those that could not be returned as they were sent.
"""

import json
import re
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

# docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html, "Number":
# 38 digits, magnitudes from 1E-130 to 9.99…E+125.
MAX_DIGITS: Final = 38
_MIN_EXPONENT: Final = -130
_MAX_EXPONENT: Final = 125
# Deeper than any sensible data, and far below what a parser can handle.
MAX_DEPTH: Final = 20
# Numbers with more places are written with an exponent, because DynamoDB's 1E+125 would be 126 digits.
_PLAIN_PLACES: Final = 40

# Wide enough for any number that can be stored; never rounds.
_EXACT: Final = Context(prec=MAX_DIGITS, traps=[Inexact])
# Possessive: for a string of six million characters, the regex engine would otherwise store as many positions.
_STRING: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_CONSTANTS: Final = {None: "null", True: "true", False: "false"}
_quoted: Callable[[str], str] = json.encoder.encode_basestring


class InvalidJsonError(ValueError):
    """The text is not JSON, or JSON that means different things to different readers."""


def loads(text: str | bytes) -> Any:
    """Parse JSON; every number becomes a `Decimal`, even `NaN` and the infinities (`fault_of` reports them).

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
    """Return compact JSON, always the same text for equal values.

    Keys are sorted, since DynamoDB's maps have no order, and `1.10` is `1.1`, since its numbers have no trailing zeros.
    So a version of an item has one representation, and its `ETag` is a strong one.
    """
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts)


def holds_more(text: str, most: int) -> bool:
    """Return True if a JSON text holds more than `most` values, without parsing it.

    A parsed value takes up to 100 bytes. An empty list or object counts twice. Text that is not JSON is
    counted in the same way.
    """
    if _count_marks(text) <= most:
        return False
    # A string has two quotes. At least every second string is a value: the others are keys, each with its value.
    if text.count('"') - text.count('\\"') > 4 * most:
        return True
    return _count_marks(_STRING.sub("", text)) > most


def fault_of(value: str | Decimal) -> str | None:
    """Return why a parsed string or number could not be returned as it was sent; None if it can."""
    return _fault_of_text(value) if isinstance(value, str) else _fault_of_number(value)


def number_text(number: Decimal | int) -> str:
    """Return a number's canonical text: up to 40 digits in full, then with an exponent, never with trailing zeros.

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
    """Return untrusted text made safe for an error document: valid Unicode of at most `limit` characters."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else f"{clean[:limit]}…"


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:
        # An exponent beyond Decimal's own range. DynamoDB cannot store such a number either.
        return Decimal("NaN")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InvalidJsonError(f"has the key {printable(twice)!r} twice in one object")
    return members


def _count_marks(text: str) -> int:
    return 1 + text.count(",") + text.count("[") + text.count("{")


def _fault_of_text(text: str) -> str | None:
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return "has a surrogate without its pair"
    return None


def _fault_of_number(number: Decimal) -> str | None:
    if not number.is_finite():
        return "is not a number that can be stored"
    if not number:
        return None
    if not _MIN_EXPONENT <= number.adjusted() <= _MAX_EXPONENT:
        return "is out of range: 1E-130 to 9.99E+125, or the same below zero"
    digits = number.as_tuple().digits
    if len(digits) > MAX_DIGITS and len("".join(map(str, digits)).strip("0")) > MAX_DIGITS:
        return f"has more than {MAX_DIGITS} significant digits"
    return None


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
