"""Alarms are read from templates, and invalid ones are rejected."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.cloudwatch import Alarm, AlarmError, MathQuery, Metric, MetricQuery, MissingData, ThresholdComparison
from unit.cloudwatch.alarms import PERCENTILE, PROPERTIES, alarm

STAT = {"Metric": {"Namespace": "A", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
OF_MATH = {key: PROPERTIES[key] for key in ("EvaluationPeriods", "Threshold", "ComparisonOperator")}


def test_alarm_is_read_completely() -> None:
    # Given the properties of a synthesised alarm, with a name, actions and tags
    which = Alarm.from_template(
        {
            **PERCENTILE,
            "AlarmName": "latency",
            "AlarmDescription": "slow",
            "AlarmActions": [{"Ref": "Topic"}],
            "Tags": [{"Key": "a", "Value": "b"}],
            "ExtendedStatistic": "p99",
            "EvaluationPeriods": 3,
            "DatapointsToAlarm": 2,
            "TreatMissingData": "notBreaching",
            "EvaluationWindow": {"SlidingWindow": {}},
        }
    )
    # Then everything that its state depends on is read
    assert which.name == "latency"
    assert isinstance(which.query, MetricQuery)
    assert which.query.metric == Metric.of("AWS/Lambda", "Errors", {"FunctionName": "api"})
    assert which.query.statistic.name == "p99"
    assert (which.period, which.evaluation_periods, which.datapoints_to_alarm) == (60, 3, 2)
    assert (which.comparison, which.threshold) == (ThresholdComparison.GREATER_OR_EQUAL, 1)
    assert which.treat_missing_data is MissingData.NOT_BREACHING
    # The same numbers as in the documented example.
    assert which.evaluation_range == 5
    assert which.metrics == (which.query.metric,)


def test_numbers_may_be_strings() -> None:
    as_text = {key: str(value) if isinstance(value, int) else value for key, value in PROPERTIES.items()}

    assert Alarm.from_template(as_text) == Alarm.from_template(PROPERTIES)


def test_numeric_version_is_a_dimension_too() -> None:
    found = alarm(Dimensions=[{"Name": "ExecutedVersion", "Value": 7}])

    assert found.metrics == (Metric.of("AWS/Lambda", "Errors", {"ExecutedVersion": "7"}),)


def test_all_evaluation_periods_have_to_breach_by_default() -> None:
    assert alarm(EvaluationPeriods=4).datapoints_to_alarm == 4


def test_alarm_has_a_name_for_messages() -> None:
    assert Alarm.from_template({**PROPERTIES, "AlarmName": "a"}, name="b").name == "a"
    assert Alarm.from_template(PROPERTIES, name="b").name == "b"
    assert Alarm.from_template(PROPERTIES).name == "Errors"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"Period": {"Ref": "Period"}},
            'errors: Period is {"Ref": "Period"}, an unresolved reference; resolve it first',
        ),
        (
            {"Dimensions": [{"Name": "a", "Value": {"Fn::GetAtt": ["b", "c"]}}]},
            'errors: Dimensions[0].Value is {"Fn::GetAtt": ["b", "c"]}, an unresolved reference; resolve it first',
        ),
        ({"Period": "soon"}, "errors: Period = 'soon': input should be a valid integer"),
        ({"EvaluationPeriods": 0}, "errors: EvaluationPeriods = 0: input should be greater than or equal to 1"),
        ({"Nonsense": 1}, "errors: Nonsense is not a supported property"),
        ({"Period": 45}, "errors: Period = 45: must be 10, 20, 30, or a multiple of 60"),
        ({"EvaluationPeriods": 1441}, "errors: EvaluationPeriods = 1441 of 60 s are longer than 1 d"),
        ({"Period": 86_400, "EvaluationPeriods": 8}, "errors: EvaluationPeriods = 8 of 86400 s are longer than 7 d"),
        ({"DatapointsToAlarm": 2}, "errors: DatapointsToAlarm = 2 is more than EvaluationPeriods = 1"),
        (
            {"ComparisonOperator": "Equals"},
            "errors: ComparisonOperator = 'Equals': must be one of GreaterThanOrEqualTo",
        ),
        (
            {"ComparisonOperator": "GreaterThanUpperThreshold"},
            "errors: GreaterThanUpperThreshold is for anomaly detection, which is not evaluated here",
        ),
        ({"ThresholdMetricId": "ad1"}, "is for anomaly detection"),
        (
            {"TreatMissingData": "maybe"},
            "errors: TreatMissingData = 'maybe': must be one of missing, ignore, breaching,",
        ),
        ({"Statistic": "p99"}, "errors: Statistic = 'p99': must be one of SampleCount"),
        ({"Statistic": "Median"}, "errors: Statistic = 'Median': must be one of"),
        ({"ExtendedStatistic": "p99"}, "errors: one of Statistic and ExtendedStatistic is required"),
        ({"EvaluateLowSampleCountPercentile": "ignore"}, "EvaluateLowSampleCountPercentile is only for percentiles"),
        ({"EvaluationWindow": {"WallClockWindow": {}}}, "only SlidingWindow is evaluated here"),
        ({"EvaluationCriteria": {}}, "EvaluationCriteria and EvaluationInterval are not evaluated here"),
        (
            {"Metrics": []},
            "errors: MetricName, Namespace, Dimensions, Period, Statistic cannot be combined with Metrics",
        ),
    ],
)
def test_refused_or_unsupported_alarm_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AlarmError) as refusal:
        alarm(**changes)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("key", ["ComparisonOperator", "EvaluationPeriods", "Threshold", "MetricName", "Period"])
def test_missing_property_is_named(key: str) -> None:
    with pytest.raises(AlarmError, match=f"{key}.* required"):
        Alarm.from_template({name: value for name, value in PROPERTIES.items() if name != key})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ExtendedStatistic": "Sum"}, "ExtendedStatistic = 'Sum': put it into Statistic"),
        ({"ExtendedStatistic": "p101"}, "ExtendedStatistic: 'p101': percentages are from 0 to 100"),
        (
            {"ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "sometimes"},
            "EvaluateLowSampleCountPercentile = 'sometimes': must be evaluate or ignore",
        ),
    ],
)
def test_invalid_extended_statistics_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AlarmError) as refusal:
        Alarm.from_template({**PERCENTILE, **changes})
    assert message in str(refusal.value)


def test_metrics_may_be_one_metric_without_math() -> None:
    found = Alarm.from_template({**OF_MATH, "Metrics": [{"Id": "m1", "MetricStat": STAT}]})

    assert found.query == MetricQuery(Metric.of("A", "m"), found.query.statistic, 60)  # type: ignore[union-attr]


def test_math_names_its_metrics() -> None:
    found = Alarm.from_template(
        {
            **OF_MATH,
            "Metrics": [
                {"Id": "e1", "Expression": "m1 + 1", "Label": "more"},
                {"Id": "m1", "MetricStat": STAT, "ReturnData": "false"},
            ],
        }
    )

    assert isinstance(found.query, MathQuery)
    assert found.metrics == (Metric.of("A", "m"),)
    assert found.period == 60


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([{"Id": "m1", "MetricStat": STAT}] * 2, "Metrics has the Id 'm1' twice"),
        ([{"Id": "m1"}], "m1 must have either MetricStat or Expression"),
        ([{"Id": "m1", "MetricStat": STAT, "Expression": "m1"}], "m1 must have either MetricStat or Expression"),
        ([{"Id": "m1", "MetricStat": STAT, "AccountId": "111111111111"}], "of the account 111111111111"),
        ([{"Id": "M1", "MetricStat": STAT}], "Metrics.0.Id = 'M1'"),
        ([{"Id": "m1", "MetricStat": STAT, "ReturnData": False}], "ReturnData must be true for exactly one of Metrics"),
        (
            [{"Id": "m1", "MetricStat": STAT}, {"Id": "e1", "Expression": "m1"}],
            "ReturnData must be true for exactly one of Metrics; it is true for m1, e1",
        ),
        (
            [
                {"Id": "m1", "MetricStat": STAT, "ReturnData": False},
                {"Id": "m2", "MetricStat": {**STAT, "Period": 300}, "ReturnData": False},
                {"Id": "e1", "Expression": "m1 + m2"},
            ],
            "the metrics of an alarm must share one period; found [60, 300]",
        ),
        (
            [{"Id": "e1", "Expression": "TIME_SERIES(1)"}],
            "the metrics of an alarm must share one period; found no metric",
        ),
        ([{"Id": "q1", "Expression": "SELECT AVG(x) FROM y"}], "q1 is a query of Metrics Insights"),
        ([{"Id": "m1", "MetricStat": {**STAT, "Stat": "Median"}}], "m1.Stat: unknown statistic 'Median'"),
        (
            [
                {"Id": "m1", "MetricStat": STAT, "ReturnData": False},
                {"Id": "e1", "Expression": "e2", "ReturnData": False},
                {"Id": "e2", "Expression": "e1 + m1"},
            ],
            "e1 → e2 → e1 refer to each other in a circle",
        ),
    ],
)
def test_invalid_metrics_are_refused(metrics: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(AlarmError) as refusal:
        Alarm.from_template({**OF_MATH, "Metrics": metrics})
    assert message in str(refusal.value)


def test_expressions_may_precede_the_expressions_they_use() -> None:
    found = Alarm.from_template(
        {
            **OF_MATH,
            "Metrics": [
                {"Id": "e2", "Expression": "e1 * 2"},
                {"Id": "e1", "Expression": "m1 + 1", "ReturnData": False},
                {"Id": "m1", "MetricStat": STAT, "ReturnData": False},
            ],
        }
    )

    assert isinstance(found.query, MathQuery)
    assert list(found.query.expressions) == ["e1", "e2"]
