"""Alarms, their notifications, and the dashboard."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest

from slipway.blocks.objectives import OUTSIDE_BAKE
from slipway.cloudwatch import Alarm, AlarmState, MetricStore, evaluate
from slipway.settings.model import AlarmSettings
from slipway.testing.templates import DeployedTemplates


def _alarms(deployment: DeployedTemplates) -> list[dict[str, Any]]:
    """Return the properties of every alarm, except single windows of objectives, with dimension values spelled out."""
    return [
        alarm
        | {
            "Of": {
                entry["Name"]: deployment.text("observability", entry["Value"]) for entry in alarm.get("Dimensions", [])
            }
        }
        for key, resource in deployment["observability"].of_type("AWS::CloudWatch::Alarm").items()
        if OUTSIDE_BAKE not in key
        for alarm in [resource["Properties"]]
    ]


def _alarm(deployment: DeployedTemplates, namespace: str, metric: str, **of: str) -> dict[str, Any]:
    found = [
        alarm
        for alarm in _alarms(deployment)
        if (alarm.get("Namespace"), alarm.get("MetricName")) == (namespace, metric)
        and of.items() <= alarm["Of"].items()
        and len(of) == len(alarm["Of"])
    ]
    assert len(found) == 1, f"{len(found)} alarms on {metric} of {of}"
    return found[0]


def _function(deployment: DeployedTemplates, handler: str) -> str:
    stack, key = deployment.place_of_function(handler)
    return f"<{stack}/{key}>"


def _api(deployment: DeployedTemplates) -> dict[str, str]:
    ((stage, _),) = deployment["compute"].of_type("AWS::ApiGateway::Stage").items()
    name = deployment["compute"].only("AWS::ApiGateway::RestApi")["Name"]
    return {"ApiName": name, "Stage": f"<compute/{stage}>"}


def _says(alarm: dict[str, Any]) -> tuple[str, float, int, int]:
    """Return operator, threshold, period, and datapoints of how many periods."""
    assert alarm.get("DatapointsToAlarm", alarm["EvaluationPeriods"]) == alarm["EvaluationPeriods"]
    operator = {"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥"}[alarm["ComparisonOperator"]]
    return operator, alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize("handler", ["api.handler", "stream.handler"])
def test_functions_alarm_above_5_errors_in_2_minutes(deployment: DeployedTemplates, handler: str) -> None:
    alarm = _alarm(deployment, "AWS/Lambda", "Errors", FunctionName=_function(deployment, handler))

    assert _says(alarm) == (">", 5, 60, 2)
    assert alarm["Statistic"] == "Sum"


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize("handler", ["api.handler", "stream.handler"])
def test_functions_alarm_on_any_throttle(deployment: DeployedTemplates, handler: str) -> None:
    alarm = _alarm(deployment, "AWS/Lambda", "Throttles", FunctionName=_function(deployment, handler))

    assert _says(alarm)[:2] == ("≥", 1)
    assert alarm["Statistic"] == "Sum"


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize("handler", ["api.handler", "stream.handler"])
def test_functions_alarm_at_p90_of_80_percent(deployment: DeployedTemplates, handler: str) -> None:
    alarm = _alarm(deployment, "AWS/Lambda", "Duration", FunctionName=_function(deployment, handler))

    assert alarm["ExtendedStatistic"] == "p90"
    assert _says(alarm)[:2] == ("≥", 800 * deployment.function(handler)["Timeout"])


@pytest.mark.requirement("items: alarms")
def test_api_alarms_above_10_server_errors_per_minute(deployment: DeployedTemplates) -> None:
    alarm = _alarm(deployment, "AWS/ApiGateway", "5XXError", **_api(deployment))

    assert _says(alarm) == (">", 10, 60, 1)
    assert alarm["Statistic"] == "Sum"


class TestRefusals:
    """The alarm on the share of requests that the API refuses, by CloudWatch's rules."""

    @pytest.mark.requirement("items: alarms")
    def test_a_few_refusals_do_not_trigger_it(self, refusals: _Refusals) -> None:
        # Given fewer requests than the floor, all of them refused
        floor = refusals.settings.client_error_floor
        assert refusals.after(requests=floor - 1, refused=floor - 1) is AlarmState.OK

    def test_a_low_share_of_refusals_does_not_trigger_it(self, refusals: _Refusals) -> None:
        share = (refusals.settings.client_error_percent - 1) / 100
        assert refusals.after(requests=10_000, refused=math.floor(share * 10_000)) is AlarmState.OK

    @pytest.mark.requirement("items: alarms")
    def test_the_configured_share_above_the_floor_triggers_it(self, refusals: _Refusals) -> None:
        settings = refusals.settings
        refused = math.ceil(settings.client_error_floor * settings.client_error_percent / 100)
        assert refusals.after(requests=settings.client_error_floor, refused=refused) is AlarmState.ALARM

    def test_no_requests_do_not_trigger_it(self, refusals: _Refusals) -> None:
        assert refusals.after(requests=0, refused=0) is AlarmState.OK


@dataclass
class _Refusals:
    """The synthesised alarm on refusals, evaluated over five minutes."""

    alarm: Alarm
    settings: AlarmSettings

    def after(self, *, requests: int, refused: int) -> AlarmState:
        store = MetricStore()
        for metric in self.alarm.metrics:
            number = requests if metric.name == "Count" else refused
            if requests:
                # API Gateway counts a 0 for each request that it does not refuse
                store.put_values(metric, [1.0, 0.0], 60, counts=[number, requests - number])
        return evaluate(self.alarm, store, 300, AlarmState.OK).state


@pytest.fixture
def refusals(deployment: DeployedTemplates) -> _Refusals:
    (alarm,) = (alarm for alarm in _alarms(deployment) if "Metrics" in alarm)
    resolved = json.loads(
        json.dumps({name: value for name, value in alarm.items() if name != "Of"}),
        object_hook=lambda each: (
            deployment.text("observability", each)
            if {"Ref", "Fn::GetAtt", "Fn::Join", "Fn::GetStackOutput"} & each.keys()
            else each
        ),
    )
    return _Refusals(Alarm.from_template(resolved), deployment.environment.alarms)


SET_OFF_BY_CALLERS = {
    ("AWS/ApiGateway", "4XXError"),
    ("AWS/ApiGateway", "4xx"),
    ("AWS/DynamoDB", "ReadThrottleEvents"),
    ("AWS/DynamoDB", "WriteThrottleEvents"),
    ("AWS/DynamoDB", "UserErrors"),
}
"""Metrics that callers can influence by their requests, besides throttles of the functions that they reach."""


@pytest.mark.requirement("items: alarms", "a release that ten bad requests roll back")
def test_no_release_depends_on_alarms_callers_can_trigger(deployment: DeployedTemplates) -> None:
    # Given the relay to the pipeline, which counts every relayed alarm against the baking release
    (pattern,) = [
        rule["EventPattern"]
        for rule in deployment["foundation"].properties_of("AWS::Events::Rule")
        if rule["EventPattern"].get("detail-type") == ["CloudWatch Alarm State Change"]
    ]
    # A single wildcard, since AWS's page documents no list of them
    (excluded,) = [each["anything-but"]["wildcard"] for each in pattern["resources"]]
    # When alarms have the names that CloudFormation generates from their ids
    own_functions = {_function(deployment, handler) for handler in deployment.functions() if handler == "api.handler"}
    relayed = 0
    for key, resource in deployment["observability"].of_type("AWS::CloudWatch::Alarm").items():
        alarm = resource["Properties"]
        queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
        watched = {(metric["Namespace"], metric["MetricName"]) for metric in queries or [alarm]}
        of = {deployment.text("observability", entry["Value"]) for entry in alarm.get("Dimensions", [])}
        by_callers = (
            bool(watched & SET_OFF_BY_CALLERS)
            or (watched == {("AWS/Lambda", "Throttles")} and bool(of & own_functions))
            or {metric for _, metric in watched} == {"ProbeUnanswered"}
        )
        # Then those that callers can trigger, and single windows of objectives, are not relayed; the others are
        name = f"{deployment['observability'].stack_name}-{key}-1A2B3C"
        stays = fnmatchcase(name, excluded)
        assert stays is (by_callers or OUTSIDE_BAKE in key), key
        relayed += not stays
    assert relayed


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize("output", ["TableName", "IdempotencyTableName"])
@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "WriteThrottleEvents"])
def test_tables_alarm_on_any_throttle(deployment: DeployedTemplates, output: str, metric: str) -> None:
    alarm = _alarm(deployment, "AWS/DynamoDB", metric, TableName=deployment.output(output))

    assert _says(alarm)[:2] == ("≥", 1)
    assert alarm["Statistic"] == "Sum"


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize("index", ["by-recency", "by-status"])
@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "WriteThrottleEvents"])
def test_indexes_alarm_on_any_throttle(deployment: DeployedTemplates, index: str, metric: str) -> None:
    alarm = _alarm(
        deployment,
        "AWS/DynamoDB",
        metric,
        TableName=deployment.output("TableName"),
        GlobalSecondaryIndexName=index,
    )

    assert _says(alarm)[:2] == ("≥", 1)


@pytest.mark.requirement("items: alarms")
def test_the_streams_reader_alarms_when_it_falls_behind(deployment: DeployedTemplates) -> None:
    alarm = _alarm(deployment, "AWS/Lambda", "IteratorAge", FunctionName=_function(deployment, "stream.handler"))

    assert alarm["Statistic"] == "Maximum"
    assert alarm["Threshold"] <= 5 * 60 * 1000


@pytest.mark.requirement("items: alarms")
def test_any_dead_letter_is_an_alarm(deployment: DeployedTemplates) -> None:
    # Given every dead letter queue: that of compute, and that of the rotation
    queues = [
        f"<{stack}/{key}.QueueName>"
        for stack in ("security", "compute")
        for key in deployment[stack].of_type("AWS::SQS::Queue")
    ]

    # Then one message in either of them is enough
    assert len(queues) == 2
    for queue in queues:
        alarm = _alarm(deployment, "AWS/SQS", "ApproximateNumberOfMessagesVisible", QueueName=queue)
        assert _says(alarm)[:2] == ("≥", 1)
        assert alarm["Statistic"] == "Maximum"


@pytest.mark.requirement("items: alarms", "an alarm on `UserErrors`, which counts the whole account")
def test_no_alarm_counts_user_errors_of_the_whole_account(deployment: DeployedTemplates) -> None:
    # DynamoDB's `UserErrors` has no dimension for the table
    for alarm in _alarms(deployment):
        assert alarm.get("MetricName") != "UserErrors"
        assert alarm["Of"] or "Metrics" in alarm, alarm["AlarmDescription"]


@pytest.mark.requirement("alarm notifications")
def test_every_alarm_notifies_the_topic_at_start_and_end(
    deployment: DeployedTemplates,
) -> None:
    topic = deployment.output("AlarmTopicArn")

    assert deployment.text("observability", deployment.behind(topic)["Properties"]["KmsMasterKeyId"]) == (
        deployment.output("KeyArn")
    )
    for alarm in _alarms(deployment):
        assert deployment.texts("observability", alarm["AlarmActions"]) == {topic}
        assert deployment.texts("observability", alarm["OKActions"]) == {topic}
        assert alarm.get("ActionsEnabled", True)
        assert alarm["AlarmDescription"]


def _widgets(deployment: DeployedTemplates) -> list[dict[str, Any]]:
    dashboard = deployment["observability"].only("AWS::CloudWatch::Dashboard")
    body = json.loads(deployment.text("observability", dashboard["DashboardBody"]))
    return [widget["properties"] | {"y": widget["y"]} for widget in body["widgets"]]


def _metrics(widget: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield namespace, metric and statistic of each line of a widget; `.` repeats the value above."""
    above: list[Any] = []
    for line in widget["metrics"]:
        entries = [above[place] if entry == "." else entry for place, entry in enumerate(line)]
        above = [entry for entry in entries if not isinstance(entry, dict)]
        options = next((entry for entry in line if isinstance(entry, dict)), {})
        if len(above) >= 2:
            yield above[0], above[1], options.get("stat", "Average")


@pytest.mark.requirement("the dashboard")
def test_the_dashboard_starts_with_requests_and_errors(deployment: DeployedTemplates) -> None:
    # Given the single-value widgets
    values = [widget for widget in _widgets(deployment) if widget["view"] == "singleValue"]

    # Then they form the first row
    assert [widget["title"].partition(",")[0].lower() for widget in values] == ["requests", "latency p90", "error rate"]
    assert {widget["y"] for widget in values} == {0}
    assert any("expression" in json.dumps(widget) for widget in values)


@pytest.mark.requirement("the dashboard")
def test_the_dashboard_shows_every_required_metric(deployment: DeployedTemplates) -> None:
    shown = {entry for widget in _widgets(deployment) for entry in _metrics(widget)}

    api = {("AWS/ApiGateway", "Latency", statistic) for statistic in ("p50", "p90", "p99")}
    api |= {("AWS/ApiGateway", metric, "Sum") for metric in ("Count", "4XXError", "5XXError")}
    functions = {("AWS/Lambda", metric, "Sum") for metric in ("Invocations", "Errors", "Throttles")}
    functions |= {("AWS/Lambda", "Duration", statistic) for statistic in ("p50", "p90", "p99")}
    functions |= {("AWS/Lambda", "ConcurrentExecutions", "Maximum")}
    tables = {
        ("AWS/DynamoDB", metric, "Sum")
        for metric in (
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        )
    }
    queues = {
        ("AWS/SQS", metric, "Maximum")
        for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
    }
    assert shown >= api | functions | tables | queues


@pytest.mark.requirement("the dashboard")
def test_dashboard_shows_every_function_and_table(deployment: DeployedTemplates) -> None:
    body = deployment.text(
        "observability", deployment["observability"].only("AWS::CloudWatch::Dashboard")["DashboardBody"]
    )

    for reference in (
        _function(deployment, "api.handler"),
        _function(deployment, "stream.handler"),
        deployment.output("TableName"),
        deployment.output("IdempotencyTableName"),
    ):
        assert reference in body
