"""An alarm of a deployment that can never trigger is found, and one that can is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from unit.rules.templates import COMPUTE, Body, found, stack

RULE = "GuardReachable"
CANARY = "CodeDeployDefault.LambdaCanary10Percent5Minutes"
COUNT = {
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "EvaluationPeriods": 1,
    "MetricName": "Errors",
    "Namespace": "AWS/Lambda",
    "Period": 60,
    "Statistic": "Sum",
    "Threshold": 1,
    "Dimensions": [{"Name": "ExecutedVersion", "Value": "7"}],
}
DURATION = {
    "ComparisonOperator": "GreaterThanThreshold",
    "EvaluationPeriods": 1,
    "ExtendedStatistic": "p99",
    "MetricName": "Duration",
    "Namespace": "AWS/Lambda",
    "Period": 60,
    "Threshold": 3000,
}


def _guarded(alarm: Mapping[str, Any], config: Any = CANARY, **more: Any) -> Body:
    update = {"CodeDeployLambdaAliasUpdate": {"DeploymentGroupName": {"Ref": "Group"}}}
    return {
        "ApiFunction01234567": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 10}},
        "Live": {
            "Type": "AWS::Lambda::Alias",
            "UpdatePolicy": update,
            "Properties": {"FunctionName": {"Ref": "ApiFunction01234567"}},
        },
        "Group": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "DeploymentConfigName": config,
                "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": "Guard"}}]},
            },
        },
        "Guard": {"Type": "AWS::CloudWatch::Alarm", "Properties": dict(alarm)},
        **more,
    }


def _is_found(body: Body, *, rate: float | None = 10.0) -> bool:
    judged = replace(stack(COMPUTE, body), rate=lambda function: rate if function == "api" else None)
    return found(RULE, judged) == [(COMPUTE, "Guard", None)]


@pytest.mark.parametrize(("threshold", "unreachable"), [(1, False), (40, False), (100, True), (1000, True)])
def test_threshold_is_compared_with_the_canarys_traffic(threshold: int, unreachable: bool) -> None:
    # Given ten requests per second, of which the new version gets about sixty per minute
    assert _is_found(_guarded({**COUNT, "Threshold": threshold})) is unreachable


def test_alarm_of_both_versions_counts_all_requests() -> None:
    alarm = {**COUNT, "Threshold": 500, "Dimensions": [{"Name": "FunctionName", "Value": "a"}]}

    assert not _is_found(_guarded(alarm))
    assert _is_found(_guarded({**alarm, "Threshold": 5000}))


def test_one_failure_is_reachable_at_any_rate() -> None:
    assert not _is_found(_guarded(COUNT), rate=0.01)
    assert _is_found(_guarded({**COUNT, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 9}), rate=0.01)


def test_count_is_not_judged_without_known_traffic() -> None:
    assert not _is_found(_guarded({**COUNT, "Threshold": 1000}), rate=None)


@pytest.mark.parametrize(("threshold", "unreachable"), [(3000, False), (9999, False), (10_000, True), (60_000, True)])
def test_latency_above_the_timeout_is_never_reached(threshold: int, unreachable: bool) -> None:
    assert _is_found(_guarded({**DURATION, "Threshold": threshold})) is unreachable


def test_alarm_that_takes_longer_than_the_canary_is_found() -> None:
    assert _is_found(_guarded({**COUNT, "EvaluationPeriods": 5}))
    assert not _is_found(_guarded({**COUNT, "EvaluationPeriods": 5, "DatapointsToAlarm": 2}))
    assert _is_found(_guarded({**COUNT, "Period": 300}))


def test_sum_within_a_condition_is_a_count() -> None:
    faults = {"MetricStat": {"Metric": {"MetricName": "Faults"}, "Period": 60, "Stat": "Sum"}, "Id": "faults"}
    invocations = {
        "MetricStat": {"Metric": {"Dimensions": COUNT["Dimensions"]}, "Period": 60, "Stat": "Sum"},
        "Id": "invocations",
    }
    either = {"Expression": "IF(FILL(invocations, REPEAT), faults)", "Id": "e"}
    ratio = {"Expression": "100 * faults / invocations", "Id": "e"}
    of = {key: COUNT[key] for key in ("ComparisonOperator", "EvaluationPeriods")} | {"Threshold": 500}

    assert _is_found(_guarded({**of, "Metrics": [either, faults, invocations]}))
    # The maximum of a ratio is unknown
    assert not _is_found(_guarded({**of, "Metrics": [ratio, faults, invocations]}))


def test_own_pace_is_read_from_its_configuration() -> None:
    routing = {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": 50, "LinearInterval": 10}}
    pace = {"Type": "AWS::CodeDeploy::DeploymentConfig", "Properties": {"TrafficRoutingConfig": routing}}

    assert not _is_found(_guarded({**COUNT, "Threshold": 250}, {"Ref": "Pace"}, Pace=pace))
    assert _is_found(_guarded({**COUNT, "Threshold": 500}, {"Ref": "Pace"}, Pace=pace))


def test_all_at_once_has_no_canary_to_reach() -> None:
    assert not _is_found(_guarded({**COUNT, "Threshold": 1000}, "CodeDeployDefault.LambdaAllAtOnce"))
