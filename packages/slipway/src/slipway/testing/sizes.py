"""Data that a service accepts, any and the largest, and AWS's limits: nothing derived from a body may exceed them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from slipway_runtime.bodies import DATA_LIMITS

# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
ITEM_BYTES = 400 * 1024
# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: an answer, and an asynchronous event
ANSWER_BYTES = 6 * 1024 * 1024
EVENT_BYTES = 1024 * 1024
# Before it was 1 MiB: docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html,
# docs.aws.amazon.com/sns/latest/dg/SNSMessageAttributes.html
MESSAGE_BYTES = 256 * 1024

# Characters that grow on their way through JSON: escaped twice, multi-byte, in upper case, in full.
STRINGS = ("x", "\\u0001", "\\n", '\\"', "\\\\", "я", "€", "😀", "ŉ", "ΐ", "\u2028", "\\u044f", "\\ud83d\\ude00")
VALUES = ("1", "1e39", "-1e-39", "0." + "3" * 37, "null", '""', "[]", "{}", '{"":""}', '"я"', '"\\u0001"')


def text(sign: str, size: int) -> str:
    """Return a string of at most a number of bytes, as JSON."""
    return '"' + sign * ((size - 2) // len(sign.encode())) + '"'


def listed(value: str, size: int, values: int) -> str:
    """Return a list of at most a number of bytes and values, as JSON."""
    each = max(2, value.count("{") * 2 + value.count("[") * 2 + 1)
    count = min((size - 2) // (len(value.encode()) + 1), (values - 1) // each)
    return "[" + ",".join([value] * count) + "]"


def keyed(sign: str, size: int, values: int) -> str:
    """Return an object whose keys consist of a character, of at most a number of bytes, as JSON."""
    count = min(values - 1, 500)
    room = size // count - 20
    return "{" + ",".join(f'"{number}{sign * (room // len(sign.encode()))}":""' for number in range(count)) + "}"


def nested(inner: str, levels: int) -> str:
    """Return a value nested in a number of objects, as JSON."""
    return '{"k":' * levels + inner + "}" * levels


@dataclass(frozen=True)
class Worst:
    """Data as large as a body may be, or nearly, of one kind."""

    kind: Literal["text", "list", "texts", "keys"]
    piece: str
    levels: int

    def written(self) -> str:
        """Return it as JSON."""
        # Besides the data there are a name of 255 characters and a description of 4,096, each character up to 12 bytes
        # escaped.
        size, values = DATA_LIMITS.size - (255 + 4096) * 12 - 200, DATA_LIMITS.values - 40
        match self.kind:
            case "text":
                inner = text(self.piece, size)
            case "list":
                inner = listed(self.piece, size, values)
            case "texts":
                inner = listed(text(self.piece, 60), size, values)
            case "keys":
                inner = keyed(self.piece, size, values)
        return nested(inner, self.levels)


LEVELS = st.integers(1, 18)
WORST = st.one_of(
    st.builds(Worst, st.just("list"), st.sampled_from(VALUES), LEVELS),
    st.builds(Worst, st.sampled_from(["text", "texts", "keys"]), st.sampled_from(STRINGS), LEVELS),
)


UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**38 - 1),
    st.integers(-130, 125 - 37),
)
EXACT = st.recursive(
    st.none() | st.booleans() | NUMBERS | UNICODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNICODE, inner, max_size=4),
    max_leaves=15,
)
DATA = st.dictionaries(UNICODE, EXACT, max_size=4)
"""Data without faults: what a service has to give back as it was sent."""


def item_bytes(attributes: Mapping[str, Any]) -> int:
    """Return the size of an item as DynamoDB counts it (CapacityUnitCalculations.html), numbers at their largest."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in attributes.items())


def _value_bytes(attribute: Mapping[str, Any]) -> int:
    (kind, value), *_ = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return 21
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_bytes(each) for name, each in value.items())
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in value)
    return 1


def carried(document: Any) -> int:
    """Return the bytes of a document in an invocation of Lambda, as its runtime writes it."""
    return len(json.dumps(document, ensure_ascii=False).encode())


ANY_SPEED = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


class Recorder:
    """A fake AWS client that records its arguments."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append(arguments)
            return {}

        return call
