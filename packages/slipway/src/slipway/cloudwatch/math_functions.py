"""The functions of metric math that alarms use.

They are documented at https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html. Where that
page is silent, this is assumed: `MIN`, `MAX` and `SUM` of several series ignore series without a data point at that
time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from slipway.cloudwatch.math_values import (
    Argument,
    EvaluationContext,
    MathError,
    Node,
    Series,
    Single,
    Text,
    Value,
    Word,
    each_point,
    node_of,
)

Function = Callable[[Sequence[Argument]], Node]
"""Compiler from the arguments of a call to its computation."""


def _arguments(given: Sequence[Argument], name: str, fewest: int, most: int) -> list[Argument]:
    if not fewest <= len(given) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise MathError(f"{name} takes {wanted} arguments, not {len(given)}")
    return list(given)


def _each(name: str, change: Callable[[float], float | None]) -> Function:
    """Return a function that is applied to every data point."""

    def make(given: Sequence[Argument]) -> Node:
        (argument,) = _arguments(given, name, 1, 1)
        node = node_of(argument)

        def compute(context: EvaluationContext) -> Value:
            value = node(context)
            if not isinstance(value, (tuple, list)):
                raise MathError(f"{name} takes a time series, not a scalar")
            return each_point(value, change)

        return compute

    return make


def _fold(
    name: str,
    along: Callable[[Sequence[float]], float],
    across: Callable[[Sequence[float | None]], float | None],
    *,
    of_nothing: float | None = None,
) -> Function:
    """Return a function that reduces a series to a scalar, and an array to a series."""

    def make(given: Sequence[Argument]) -> Node:
        (argument,) = _arguments(given, name, 1, 1)
        node = node_of(argument)

        def compute(context: EvaluationContext) -> Value:
            value = node(context)
            if isinstance(value, list):
                return tuple(across(points) for points in zip(*value, strict=True))
            if isinstance(value, tuple):
                points = [point for point in value if point is not None]
                return along(points) if points else of_nothing
            raise MathError(f"{name} takes a time series, not a scalar")

        return compute

    return make


def _across(fold: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float | None]], float | None]:
    """Return a fold over the values of an array's series at one time."""

    def across(points: Sequence[float | None]) -> float | None:
        there = [point for point in points if point is not None]
        return fold(there) if there else None

    return across


def _mean_across(points: Sequence[float | None]) -> float | None:
    """Return the mean, in which a series without a data point counts as 0."""
    if all(point is None for point in points):
        return None
    return sum(point or 0.0 for point in points) / len(points)


def _fill(given: Sequence[Argument]) -> Node:
    first, filler = _arguments(given, "FILL", 2, 2)
    node = node_of(first)
    if isinstance(filler, Word):
        if filler.name not in {"REPEAT", "LINEAR"}:
            raise MathError(f"FILL fills with a number, a metric, REPEAT or LINEAR, not with {filler.name}")
        fill = _repeat if filler.name == "REPEAT" else _linear
        return lambda context: _over_series(node(context), fill, "FILL")
    source = node_of(filler)

    def compute(context: EvaluationContext) -> Value:
        value = source(context)
        if isinstance(value, list):
            raise MathError("FILL fills with one series, not with an array")
        spare = value if isinstance(value, tuple) else (value,) * len(context.starts)
        return _over_series(
            node(context),
            lambda series: tuple(other if point is None else point for point, other in zip(series, spare, strict=True)),
            "FILL",
        )

    return compute


def _over_series(value: Value, change: Callable[[Series], Series], name: str) -> Value:
    if isinstance(value, list):
        return [change(series) for series in value]
    if isinstance(value, tuple):
        return change(value)
    raise MathError(f"{name} takes a time series, not a scalar")


def _repeat(series: Series) -> Series:
    filled: list[float | None] = []
    for point in series:
        filled.append(point if point is not None or not filled else filled[-1])
    return tuple(filled)


def _linear(series: Series) -> Series:
    filled = list(series)
    there = [place for place, point in enumerate(series) if point is not None]
    for begin, end in pairwise(there):
        low, high = series[begin], series[end]
        if low is None or high is None:
            continue
        for place in range(begin + 1, end):
            filled[place] = low + (high - low) * (place - begin) / (end - begin)
    return tuple(filled)


def _if(given: Sequence[Argument]) -> Node:
    condition, *branches = (node_of(argument) for argument in _arguments(given, "IF", 2, 3))
    otherwise = branches[1] if len(branches) > 1 else None

    def compute(context: EvaluationContext) -> Value:
        test, then = condition(context), branches[0](context)
        other = otherwise(context) if otherwise else None
        if isinstance(test, list) or isinstance(then, list) or isinstance(other, list):
            raise MathError("IF takes series and scalars, not arrays")
        if not any(isinstance(value, tuple) for value in (test, then, other)):
            raise MathError("IF takes at least one time series")
        return tuple(
            _choice(_at(test, place), _at(then, place), _at(other, place), of_series=isinstance(test, tuple))
            for place in range(len(context.starts))
        )

    return compute


def _at(value: Single, place: int) -> float | None:
    return value[place] if isinstance(value, tuple) else value


def _choice(test: float | None, then: float | None, other: float | None, *, of_series: bool) -> float | None:
    if test is None:
        return None
    if not test:
        return other
    # As documented: 0 if the condition's data point is true and the other metric has none.
    return 0.0 if then is None and of_series else then


def _metrics(given: Sequence[Argument]) -> Node:
    arguments = _arguments(given, "METRICS", 0, 1)
    if not arguments:
        return lambda context: list(context.metrics.values())
    (argument,) = arguments
    if not isinstance(argument, Text):
        raise MathError('METRICS takes a string, such as METRICS("errors")')
    part = argument.value
    return lambda context: [series for name, series in context.metrics.items() if part in name]


def _period(given: Sequence[Argument]) -> Node:
    (argument,) = _arguments(given, "PERIOD", 1, 1)
    node_of(argument)
    return lambda context: float(context.period)


def _metric_count(given: Sequence[Argument]) -> Node:
    (argument,) = _arguments(given, "METRIC_COUNT", 1, 1)
    node = node_of(argument)

    def compute(context: EvaluationContext) -> Value:
        value = node(context)
        if not isinstance(value, list):
            raise MathError("METRIC_COUNT takes an array of time series")
        return float(len(value))

    return compute


def _one_of(name: str, place: int) -> Function:
    def make(given: Sequence[Argument]) -> Node:
        (argument,) = _arguments(given, name, 1, 1)
        node = node_of(argument)

        def compute(context: EvaluationContext) -> Value:
            value = node(context)
            if not isinstance(value, list) or not value:
                raise MathError(f"{name} takes an array of time series")
            return value[place]

        return compute

    return make


def _time_series(given: Sequence[Argument]) -> Node:
    (argument,) = _arguments(given, "TIME_SERIES", 1, 1)
    node = node_of(argument)

    def compute(context: EvaluationContext) -> Value:
        value = node(context)
        if isinstance(value, (tuple, list)):
            raise MathError("TIME_SERIES takes a scalar")
        return (value,) * len(context.starts)

    return compute


def _change(name: str, *, a_second: bool) -> Function:
    """Return the difference to the previous data point."""

    def make(given: Sequence[Argument]) -> Node:
        (argument,) = _arguments(given, name, 1, 1)
        node = node_of(argument)

        def compute(context: EvaluationContext) -> Value:
            return _over_series(node(context), lambda series: change(series, context.starts), name)

        def change(series: Series, starts: Sequence[float]) -> Series:
            result: list[float | None] = []
            before: tuple[float, float] | None = None
            for point, start in zip(series, starts, strict=True):
                if point is None or before is None:
                    result.append(None)
                else:
                    result.append((point - before[0]) / ((start - before[1]) if a_second else 1))
                before = before if point is None else (point, start)
            return tuple(result)

        return compute

    return make


def _logarithm(of: Callable[[float], float]) -> Callable[[float], float | None]:
    return lambda point: of(point) if point > 0 else None


FUNCTIONS: Mapping[str, Function] = {
    "ABS": _each("ABS", abs),
    "AVG": _fold("AVG", lambda points: sum(points) / len(points), _mean_across),
    "CEIL": _each("CEIL", lambda point: float(math.ceil(point))),
    "DATAPOINT_COUNT": _fold(
        "DATAPOINT_COUNT",
        lambda points: float(len(points)),
        lambda points: float(sum(point is not None for point in points)),
        of_nothing=0.0,
    ),
    "DIFF": _change("DIFF", a_second=False),
    "FILL": _fill,
    "FIRST": _one_of("FIRST", 0),
    "FLOOR": _each("FLOOR", lambda point: float(math.floor(point))),
    "IF": _if,
    "LAST": _one_of("LAST", -1),
    "LOG": _each("LOG", _logarithm(math.log)),
    "LOG10": _each("LOG10", _logarithm(math.log10)),
    "MAX": _fold("MAX", max, _across(max)),
    "METRICS": _metrics,
    "METRIC_COUNT": _metric_count,
    "MIN": _fold("MIN", min, _across(min)),
    "PERIOD": _period,
    "RATE": _change("RATE", a_second=True),
    "SUM": _fold("SUM", sum, _across(sum)),
    "TIME_SERIES": _time_series,
}
"""The functions that are supported, by name."""
