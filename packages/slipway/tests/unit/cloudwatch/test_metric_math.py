"""Metric math computes the examples of its documentation page, and rejects what isn't supported."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from slipway.cloudwatch import AlarmError, AlarmState, MetricStore, evaluate
from slipway.cloudwatch.math_functions import FUNCTIONS
from slipway.cloudwatch.math_values import EvaluationContext, MathError, Series, Value
from slipway.cloudwatch.metric_math import Expression
from unit.cloudwatch.alarms import math_alarm, put_series


def points(text: str) -> Series:
    return tuple(None if point == "-" else float(point) for point in text.split())


def compute(expression: str, results: Mapping[str, Value] | None = None, **metrics: str) -> Value:
    """Compute an expression over metrics with a one-minute period."""
    series = {name: points(text) for name, text in metrics.items()}
    length = max((len(one) for one in series.values()), default=4)
    starts = [60.0 * place for place in range(length)]
    return Expression.parse(expression).evaluate(EvaluationContext(series, results or {}, starts, 60))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("7 - 2 - 1", 4),
        ("8 / 4 / 2", 1),
        ("+5 - -5", 10),
        ("1 < 2", 1),
        ("1 >= 2", 0),
        ("1 < 2 AND 2 < 1", 0),
        ("1 < 2 || 2 < 1 && 2 < 1", 1),
        ("1 / 0", None),
        ("0 ^ -1", None),
        ("(0 - 8) ^ 0.5", None),
        ("PERIOD(m1) / 60", 1),
        ("SUM(m1)", 6),
        ("AVG(m1)", 2),
        ("MIN(m1) + MAX(m1)", 4),
        ("DATAPOINT_COUNT(m1)", 3),
        ("METRIC_COUNT(METRICS())", 1),
    ],
)
def test_scalars(expression: str, value: float | None) -> None:
    assert compute(expression, m1="1 2 3 -") == value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m1 / m2 * 100", "50 - 0 -"),
        ("m1 + m2", "3 1 3 -"),
        ("m1 - m2", "-1 1 -3 -"),
        ("-m1", "-1 -1 - -"),
        ("m1 + 1", "2 2 - -"),
        ("10 - m2", "8 - 7 -"),
        ("m1 ^ 2 + m2", "3 1 3 -"),
        ("ABS(m1 - m2)", "1 1 3 -"),
        ("CEIL(m2 / 4) + FLOOR(m2 / 4)", "1 - 1 -"),
        ("SUM([m1, m2])", "3 1 3 -"),
        ("SUM(METRICS())", "3 1 3 -"),
        ('SUM(METRICS("2"))', "2 - 3 -"),
        ("AVG([m1, m2])", "1.5 0.5 1.5 -"),
        ("MIN([m1, m2])", "1 1 3 -"),
        ("MAX(METRICS() * 2)", "4 2 6 -"),
        ("SUM(METRICS() / m1)", "3 1 - -"),
        ("FIRST([m1, m2]) + LAST([m1, m2])", "3 1 3 -"),
        ("DATAPOINT_COUNT([m1, m2])", "2 1 1 0"),
        ("FILL(m1, 0)", "1 1 0 0"),
        ("FILL(m1, m2)", "1 1 3 -"),
        ("FILL(m1, MAX(m2))", "1 1 3 3"),
        ("FILL(m2, REPEAT)", "2 2 3 3"),
        ("FILL(m2, LINEAR)", "2 2.5 3 -"),
        ("SUM(FILL(METRICS(), 0))", "3 1 3 0"),
        ("TIME_SERIES(7)", "7 7 7 7"),
        ("DIFF(m2)", "- - 1 -"),
        ("RATE(m2) * 120", "- - 1 -"),
        ("LOG10(m2 / m2 * 1000) + LOG(m1)", "3 0 3 -"),
        ("m1 / SUM(m1)", "0.5 0.5 - -"),
    ],
)
def test_series(expression: str, expected: str) -> None:
    assert compute(expression, m1="1 1 - -", m2="2 - 3 -") == points(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # The page's examples of comparisons
        ("metric1 < metric2", "0 0 1 0"),
        ("metric1 >= 30", "1 0 0 0"),
        ("metric1 > 15 AND metric2 > 15", "1 0 0 0"),
        ("metric1 > 15 OR metric2 > 15", "1 1 1 0"),
        ("metric1 == 0", "0 0 1 1"),
        ("metric1 != 0", "1 1 0 0"),
        ("metric1 <= 20", "0 1 1 1"),
    ],
)
def test_comparisons(expression: str, expected: str) -> None:
    # Given the page's metrics, the second with missing values: a value missing from only one side counts as 0
    assert compute(expression, metric1="30 20 0 0", metric2="20 - 20 -") == points(expected)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # The page's examples of IF
        ("IF(metric1, metric2, metric3)", "30 0 20 - -"),
        ("IF(metric1, 5, metric3)", "5 5 20 - -"),
        ("IF(metric1, metric2, 5)", "30 0 5 5 -"),
        ("IF(metric1, metric2)", "30 0 - - -"),
        ("IF(metric2 > 20, 1, 0)", "1 - 0 0 1"),
        ("IF(1, metric2, metric3)", "30 - 0 0 30"),
        ("IF(0, metric2, metric3)", "0 0 20 - 20"),
        ("IF(0, metric2)", "- - - - -"),
    ],
)
def test_if(expression: str, expected: str) -> None:
    assert compute(expression, metric1="1 1 0 0 -", metric2="30 - 0 0 30", metric3="0 0 20 - 20") == points(expected)


@pytest.mark.parametrize("name", ["ANOMALY_DETECTION_BAND", "SEARCH", "SORT", "INSIGHT_RULE_METRIC", "NOPE"])
def test_a_function_that_is_not_supported_is_named(name: str) -> None:
    # Given an alarm with such a function, when it is read, then the error names it and the supported ones
    with pytest.raises(AlarmError) as refusal:
        math_alarm(f"{name}(m1)")
    assert f"math: e1: '{name}(m1)': the function {name} is not supported" in str(refusal.value)
    assert ", ".join(FUNCTIONS) in str(refusal.value)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("m1 +", "cannot be parsed"),
        ("m1 m2", "cannot be parsed at 'm2'"),
        ("M1", "is a word, not an expression"),
        ("m1 + REPEAT", "REPEAT is given, but a metric or a number is expected"),
        ('m1 + "a"', "'a' is given, but a metric or a number is expected"),
        ("FILL(m1)", "FILL takes 2 arguments, not 1"),
        ("FILL(m1, BEFORE)", "not with BEFORE"),
        ("FILL(m1, METRICS())", "FILL fills with one series"),
        ("FILL(1, 2)", "FILL takes a time series, not a scalar"),
        ("IF(m1)", "IF takes 2 to 3 arguments, not 1"),
        ("IF(1, 2, 3)", "IF takes at least one time series"),
        ("IF(METRICS(), m1)", "IF takes series and scalars, not arrays"),
        ("METRICS(m1)", "METRICS takes a string"),
        ("ABS(1)", "ABS takes a time series, not a scalar"),
        ("SUM(1)", "SUM takes a time series, not a scalar"),
        ("FIRST(m1)", "FIRST takes an array"),
        ("METRIC_COUNT(m1)", "METRIC_COUNT takes an array"),
        ("TIME_SERIES(m1)", "TIME_SERIES takes a scalar"),
        ("[m1, m2] + [m1]", "arrays of 2 and 1 series cannot be combined"),
        ("SUM(m1)", "gives a scalar, but an alarm watches one series"),
        ("METRICS()", "gives 2 time series, but an alarm watches one series"),
        ("m1 + m7", "e1 refers to 'm7', which is not an Id in Metrics"),
    ],
)
def test_impossible_expression_is_refused_when_read(expression: str, message: str) -> None:
    with pytest.raises(AlarmError) as refusal:
        math_alarm(expression)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_parsed_expression_says_what_it_reads() -> None:
    assert Expression.parse("m1 / FILL(m2, e1)").ids == {"m1", "m2", "e1"}
    with pytest.raises(MathError):
        Expression.parse("")


# Alarms on expressions


def test_an_alarm_watches_the_expression_that_returns_data() -> None:
    # Given an error rate in percent, computed by two expressions of which the second uses the first
    which = math_alarm("m1 / m2", "e1 * 100", Threshold=5)
    store = MetricStore()
    put_series(store, "4 6", name="m1", namespace="Tests")
    put_series(store, "100 100", name="m2", namespace="Tests")
    # When it is evaluated, then 4 % does not trigger it and 6 % does
    assert evaluate(which, store, 60).state is AlarmState.OK
    found = evaluate(which, store, 120)
    assert found.state is AlarmState.ALARM
    assert [point.value for point in found.judged] == [6]


def test_a_division_by_zero_is_a_missing_data_point() -> None:
    which = math_alarm("m1 / m2", TreatMissingData="notBreaching")
    store = MetricStore()
    put_series(store, "4", name="m1", namespace="Tests")
    put_series(store, "0", name="m2", namespace="Tests")

    assert evaluate(which, store, 60, AlarmState.ALARM).state is AlarmState.OK
