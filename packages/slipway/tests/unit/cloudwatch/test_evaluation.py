"""Alarm evaluation: periods, the sliding window, M out of N, and the reported reason."""

from __future__ import annotations

import dataclasses

import pytest

from slipway.cloudwatch import AlarmError, AlarmState, MetricStore, evaluate
from unit.cloudwatch.alarms import DIMENSIONS, NAME, NAMESPACE, PERCENTILE, alarm, judge, series


def put(store: MetricStore, value: float, at: float, *, count: float = 1, resolution: int = 60) -> None:
    store.put(NAMESPACE, NAME, DIMENSIONS, value, at, count=count, resolution=resolution)


def test_error_triggers_the_alarm_after_its_minute() -> None:
    # Given an error at 125 s
    store = MetricStore()
    put(store, 1, 125)
    which = alarm(TreatMissingData="notBreaching")
    # When the alarm is evaluated at these seconds
    states = {at: evaluate(which, store, at).state for at in (60, 120, 179, 180, 240)}
    # Then it triggers at the end of the minute from 120 to 180, not earlier
    assert states == {
        60: AlarmState.OK,
        120: AlarmState.OK,
        179: AlarmState.OK,
        180: AlarmState.ALARM,
        240: AlarmState.ALARM,
    }


def test_last_data_point_counts_within_the_evaluation_range() -> None:
    # Given one error, then no data, and an evaluation range of three periods
    store = series("X")
    which = alarm(TreatMissingData="notBreaching")
    assert which.evaluation_range == 3
    # When the alarm is evaluated each minute, then it ends once the data point leaves the range
    states = [evaluate(which, store, minute * 60).state for minute in (1, 2, 3, 4)]
    assert states == [AlarmState.ALARM, AlarmState.ALARM, AlarmState.ALARM, AlarmState.OK]


def test_late_data_point_counts_within_the_range() -> None:
    # Given a metric whose data point arrives two minutes late
    store = MetricStore()
    which = alarm(TreatMissingData="notBreaching")
    assert evaluate(which, store, 60).state is AlarmState.OK
    # When the data point is put with its original timestamp
    put(store, 1, 0)
    # Then the next evaluation includes it
    assert evaluate(which, store, 180).state is AlarmState.ALARM


def test_the_window_slides_by_a_minute() -> None:
    # Given a five-minute period and an error in the second minute
    store = MetricStore()
    put(store, 1, 60)
    which = dataclasses.replace(alarm(Period=300, TreatMissingData="notBreaching"), evaluation_range=1)
    # When the alarm is evaluated each minute, then it is in ALARM while minute 2 is one of the last five
    states = {minute: evaluate(which, store, minute * 60).state for minute in range(1, 9)}
    assert [minute for minute, state in states.items() if state is AlarmState.ALARM] == [2, 3, 4, 5, 6]


def test_high_resolution_is_evaluated_every_ten_seconds() -> None:
    # Given a 10 s period and a high-resolution sample at 25.4 s
    store = MetricStore()
    put(store, 1, 25.4, resolution=1)
    which = dataclasses.replace(alarm(Period=10, TreatMissingData="notBreaching"), evaluation_range=1)
    # When the alarm is evaluated, then it is in ALARM from 30 s to 40 s
    states = {at: evaluate(which, store, at).state for at in (20, 29.9, 30, 39, 40)}
    assert [at for at, state in states.items() if state is AlarmState.ALARM] == [30, 39]
    assert which.every == 10


def test_standard_sample_is_at_the_start_of_its_minute() -> None:
    # Given a standard-resolution sample at 25.4 s
    store = MetricStore()
    put(store, 1, 25.4)
    which = dataclasses.replace(alarm(Period=10, TreatMissingData="notBreaching"), evaluation_range=1)
    # When 10 s periods are evaluated, then the sample belongs to the first
    assert evaluate(which, store, 10).state is AlarmState.ALARM
    assert evaluate(which, store, 30).state is AlarmState.OK


def test_more_than_a_day_is_evaluated_by_the_hour() -> None:
    # Given an alarm over three days and a failure at 10:02
    hour = 3600
    store = MetricStore()
    put(store, 1, 10 * hour + 120)
    which = alarm(Period=86_400, EvaluationPeriods=3, DatapointsToAlarm=1, TreatMissingData="notBreaching")
    assert which.every == hour
    # Exactly one day is still evaluated every minute.
    assert alarm(Period=86_400).every == 60
    # When it is evaluated, then at 10:03 it only reads data up to 10:00, and at 11:03 it triggers
    assert evaluate(which, store, 10 * hour + 180).state is AlarmState.OK
    assert evaluate(which, store, 11 * hour + 180).state is AlarmState.ALARM


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ("0 0 0", AlarmState.OK),
        ("X 0 0", AlarmState.OK),
        ("X 0 X", AlarmState.ALARM),
        ("0 X X", AlarmState.ALARM),
        ("X X 0", AlarmState.ALARM),
        ("X X 0 0", AlarmState.OK),
        ("X X X 0 0 0", AlarmState.OK),
    ],
)
def test_m_out_of_n(points: str, state: AlarmState) -> None:
    # Given two out of three and no missing data, when evaluated, then only the last three data points count
    assert judge(alarm(EvaluationPeriods=3, DatapointsToAlarm=2), points).state is state


@pytest.mark.parametrize(
    ("operator", "breaching"),
    [
        ("GreaterThanOrEqualToThreshold", {5, 6}),
        ("GreaterThanThreshold", {6}),
        ("LessThanOrEqualToThreshold", {4, 5}),
        ("LessThanThreshold", {4}),
    ],
)
def test_each_operator(operator: str, breaching: set[int]) -> None:
    which = alarm(ComparisonOperator=operator, Threshold="5")

    assert {value for value in (4, 5, 6) if judge(which, str(value)).state is AlarmState.ALARM} == breaching


def test_alarm_with_a_unit_ignores_other_units() -> None:
    # Given a metric reported in two units
    store = MetricStore()
    store.put(NAMESPACE, NAME, DIMENSIONS, 1, 0, unit="Seconds")
    store.put(NAMESPACE, NAME, DIMENSIONS, 100, 0, unit="Milliseconds")
    # When alarms select one unit, a unit without data, and no unit
    assert evaluate(alarm(Unit="Seconds", Threshold=2), store, 60).state is AlarmState.OK
    assert evaluate(alarm(Unit="Bytes"), store, 60).state is AlarmState.INSUFFICIENT_DATA
    assert evaluate(alarm(Threshold=101), store, 60).state is AlarmState.ALARM


def test_metrics_differ_by_dimensions() -> None:
    # Given a sample with the version's dimensions, and none with the function's
    store = MetricStore()
    store.put(NAMESPACE, NAME, {**DIMENSIONS, "ExecutedVersion": "7"}, 1, 0)
    # When the function's alarm is evaluated, then the version's sample does not count
    assert evaluate(alarm(), store, 60).state is AlarmState.INSUFFICIENT_DATA


# Percentiles of few samples


@pytest.mark.parametrize(
    ("samples", "choice", "state"),
    [
        (999, "ignore", AlarmState.OK),
        (1000, "ignore", AlarmState.ALARM),
        (999, "evaluate", AlarmState.ALARM),
        (1, "evaluate", AlarmState.ALARM),
    ],
)
def test_p99_of_fewer_than_a_thousand_samples(samples: int, choice: str, state: AlarmState) -> None:
    # Given a p99 alarm that is OK, and samples that are all too slow
    which = type(alarm()).from_template(
        {**PERCENTILE, "ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": choice}
    )
    store = MetricStore()
    put(store, 5, 0, count=samples)
    # When there are too few samples to be significant and the alarm ignores those, then it stays OK
    found = evaluate(which, store, 60, AlarmState.OK)
    assert found.state is state
    assert ("too few samples" in found.reason) == (state is AlarmState.OK)


def test_every_evaluated_data_point_needs_enough_samples() -> None:
    # Given two minutes, one of which has few samples
    which = type(alarm()).from_template(
        {
            **PERCENTILE,
            "ExtendedStatistic": "p50",
            "EvaluateLowSampleCountPercentile": "ignore",
            "EvaluationPeriods": 2,
        }
    )
    store = MetricStore()
    put(store, 5, 0, count=19)
    put(store, 5, 60, count=20)
    # When it is evaluated, then it stays OK until the minute with few samples has left the window
    assert evaluate(which, store, 120, AlarmState.OK).state is AlarmState.OK
    put(store, 5, 120, count=20)
    assert evaluate(which, store, 180, AlarmState.OK).state is AlarmState.ALARM


# Reasons


@pytest.mark.parametrize(
    ("changes", "points", "reason"),
    [
        ({}, "3", "1 of 1 data points [3] greater than or equal to 1; 1 of 1 trigger the alarm"),
        ({}, "0", "0 of 1 data points [0] greater than or equal to 1; 1 of 1 trigger the alarm"),
        ({}, "- - -", "1 of 1 data points are unknown"),
        ({"TreatMissingData": "ignore"}, "- - -", "INSUFFICIENT_DATA as before: missing data is ignored"),
        (
            {"TreatMissingData": "breaching"},
            "- - -",
            "no data point greater than or equal to 1, 1 missing treated as breaching; 1 of 1 trigger the alarm",
        ),
        (
            {"EvaluationPeriods": 3},
            "- - X - -",
            (
                "1 of 1 data points [1] greater than or equal to 1, the oldest at least 3 periods ago, and every "
                "later one "
                "breaching"
            ),
        ),
    ],
)
def test_reason_describes_the_data_points(changes: dict[str, object], points: str, reason: str) -> None:
    assert judge(alarm(**changes), points).reason == reason


def test_a_change_is_reported() -> None:
    assert judge(alarm(), "X", AlarmState.OK).changed
    assert not judge(alarm(), "X", AlarmState.ALARM).changed


def test_a_range_that_is_too_short_is_refused() -> None:
    with pytest.raises(AlarmError, match="an evaluation range of 1 is shorter than the 2 evaluation periods"):
        dataclasses.replace(alarm(EvaluationPeriods=2), evaluation_range=1)
