"""Values of metric math, and how operators combine them.

How missing data points count:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. Where that page is silent, this
is assumed: an operation has no data point at a time at which none of its series has one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Series = tuple[float | None, ...]
"""One data point per period, oldest first; None where it is missing."""

Single = float | Series | None
"""A scalar (None if it cannot be computed), or a time series."""

Value = Single | list[Series]
"""A scalar, a time series, or an array of them."""


class MathError(ValueError):
    """An expression that cannot be parsed or is not supported. The text names the part."""


@dataclass(frozen=True)
class EvaluationContext:
    """Data for the evaluation of an expression.

    Args:
        metrics: The series of each metric by its id, in the order of the alarm, all of the same length.
        results: Results of the other expressions, by id.
        starts: Start of each period, seconds.
        period: Length of a period, seconds.
    """

    metrics: Mapping[str, Series]
    results: Mapping[str, Value]
    starts: Sequence[float]
    period: int


Node = Callable[[EvaluationContext], Value]
"""A part of an expression, which computes its value."""

Combine = Callable[[float, float], float | None]
"""An operator on two numbers; None drops the data point."""


@dataclass(frozen=True)
class Word:
    """An unquoted word among arguments, such as `REPEAT`."""

    name: str


@dataclass(frozen=True)
class Text:
    """A string among arguments."""

    value: str


Argument = Node | Word | Text


def node_of(argument: Argument) -> Node:
    """Return an argument that has to be computed.

    Raises:
        MathError: It is a word or a string.
    """
    if isinstance(argument, Word):
        raise MathError(f"{argument.name} is given, but a metric or a number is expected")
    if isinstance(argument, Text):
        raise MathError(f"{argument.value!r} is given, but a metric or a number is expected")
    return argument


def series_of(value: Value, context: EvaluationContext) -> list[Series]:
    """Return a value as an array: a scalar becomes a series."""
    if isinstance(value, list):
        return value
    return [value if isinstance(value, tuple) else (value,) * len(context.starts)]


def each_point(value: Value, change: Callable[[float], float | None]) -> Value:
    """Return a value with a function applied to every number."""
    if isinstance(value, list):
        return [tuple(None if point is None else change(point) for point in series) for series in value]
    if isinstance(value, tuple):
        return tuple(None if point is None else change(point) for point in value)
    return None if value is None else change(value)


def binary(left: Node, right: Node, combine: Combine) -> Node:
    """Return an operator applied to two parts."""
    return lambda context: _combined(left(context), right(context), combine)


def _combined(left: Value, right: Value, combine: Combine) -> Value:
    if isinstance(left, list):
        if isinstance(right, list):
            if len(left) != len(right):
                raise MathError(f"arrays of {len(left)} and {len(right)} series cannot be combined")
            return [_pair(one, other, combine) for one, other in zip(left, right, strict=True)]
        return [_pair(one, right, combine) for one in left]
    if isinstance(right, list):
        return [_pair(left, other, combine) for other in right]
    if isinstance(left, tuple) or isinstance(right, tuple):
        return _pair(left, right, combine)
    return None if left is None or right is None else combine(left, right)


def _pair(left: Single, right: Single, combine: Combine) -> Series:
    """Combine a series with a series or a scalar. If only one of two series has a data point, the other counts as 0."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return tuple(
            None if one is None and other is None else combine(one or 0.0, other or 0.0)
            for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, tuple) and not isinstance(right, tuple):
        return tuple(None if one is None or right is None else combine(one, right) for one in left)
    if isinstance(right, tuple) and not isinstance(left, tuple):
        return tuple(None if left is None or other is None else combine(left, other) for other in right)
    raise MathError("two scalars, but a series is expected")
