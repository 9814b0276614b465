"""Alarms and metrics for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.cloudwatch import Alarm, AlarmState, Evaluation, MetricStore, evaluate

NAMESPACE, NAME, DIMENSIONS = "AWS/Lambda", "Errors", {"FunctionName": "api"}

PROPERTIES: Mapping[str, Any] = {
    "Namespace": NAMESPACE,
    "MetricName": NAME,
    "Dimensions": [{"Name": "FunctionName", "Value": "api"}],
    "Period": 60,
    "Statistic": "Sum",
    "EvaluationPeriods": 1,
    "Threshold": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
}

PERCENTILE: Mapping[str, Any] = {key: value for key, value in PROPERTIES.items() if key != "Statistic"}
"""The same without a statistic, for use with `ExtendedStatistic`."""


def alarm(**changes: Any) -> Alarm:
    """Return an alarm that triggers on one error per minute, with some properties changed."""
    return Alarm.from_template({**PROPERTIES, **changes}, name="errors")


def math_alarm(*expressions: str, metrics: Sequence[str] = ("m1", "m2"), **changes: Any) -> Alarm:
    """Return an alarm on the last of the expressions `e1`, `e2`, …, over metrics named after their ids."""
    queries: list[dict[str, Any]] = [
        {
            "Id": name,
            "MetricStat": {"Metric": {"Namespace": "Tests", "MetricName": name}, "Period": 60, "Stat": "Sum"},
            "ReturnData": False,
        }
        for name in metrics
    ]
    queries += [
        {"Id": f"e{place}", "Expression": expression, "ReturnData": place == len(expressions)}
        for place, expression in enumerate(expressions, start=1)
    ]
    shared = ("EvaluationPeriods", "Threshold", "ComparisonOperator")
    kept = {key: PROPERTIES[key] for key in shared}
    return Alarm.from_template({**kept, "Metrics": queries, **changes}, name="math")


def series(points: str, *, name: str = NAME, namespace: str = NAMESPACE, period: int = 60) -> MetricStore:
    """Return a store with one value per period, from 0 seconds on; `-` is missing, `X` is 1."""
    store = MetricStore()
    put_series(store, points, name=name, namespace=namespace, period=period)
    return store


def put_series(
    store: MetricStore, points: str, *, name: str = NAME, namespace: str = NAMESPACE, period: int = 60
) -> None:
    """Add `series` to an existing store."""
    dimensions = DIMENSIONS if namespace == NAMESPACE else {}
    for place, point in enumerate(points.split()):
        if point != "-":
            store.put(namespace, name, dimensions, 1.0 if point == "X" else float(point), place * period)


def judge(which: Alarm, points: str, previous: AlarmState = AlarmState.INSUFFICIENT_DATA) -> Evaluation:
    """Evaluate an alarm at the end of a series."""
    period = which.period
    return evaluate(which, series(points, period=period), len(points.split()) * period, previous)
