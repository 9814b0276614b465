"""Rules about alarms that roll back deployments."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken


def _alarm(namespace: str, metric: str, threshold: float = 1, **dimensions: Any) -> dict[str, Any]:
    properties = {
        "Namespace": namespace,
        "MetricName": metric,
        "Threshold": threshold,
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


def _math(namespace: str, metric: str) -> dict[str, Any]:
    query = {"Id": "m", "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": metric}}}
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": "e", "Expression": "m"}, query]}}


def _group(*names: Any, enabled: bool = True) -> dict[str, Any]:
    configuration = {"Enabled": enabled, "Alarms": [{"Name": name} for name in names or ({"Ref": "Alarm"},)]}
    return {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {"AlarmConfiguration": configuration}}


def _bake(name: Any) -> dict[str, Any]:
    rule = {"RuleTypeId": {"Provider": "CloudWatchAlarm"}, "Configuration": {"AlarmName": name}}
    stage = {"Name": "Prod", "Actions": [], "OnSuccess": {"Conditions": [{"Rules": [rule]}]}}
    return {"Type": "AWS::CodePipeline::Pipeline", "Properties": {"Stages": [stage]}}


REFUSALS = _alarm("AWS/ApiGateway", "4XXError")

READERS: dict[str, dict[str, Any]] = {
    "deployment group": _group(),
    "stage": _bake({"Ref": "Alarm"}),
    "ECS service": {
        "Type": "AWS::ECS::Service",
        "Properties": {"DeploymentConfiguration": {"Alarms": {"AlarmNames": [{"Ref": "Alarm"}]}}},
    },
    "AppConfig": {
        "Type": "AWS::AppConfig::Environment",
        "Properties": {"Monitors": [{"AlarmArn": {"Fn::GetAtt": ["Alarm", "Arn"]}}]},
    },
}


class TestRollback:
    """No rollback depends on an alarm that any caller can trigger."""

    @pytest.mark.requirement("safe deployments")
    @pytest.mark.parametrize("reader", READERS)
    def test_everything_that_reads_an_alarm_is_found(self, reader: str) -> None:
        assert broken("NoRollbackByCallers", {"Alarm": REFUSALS, "Reader": READERS[reader]}) == ["Alarm"]
        failures = _alarm("AWS/ApiGateway", "5XXError")
        assert broken("NoRollbackByCallers", {"Alarm": failures, "Reader": READERS[reader]}) == []

    @pytest.mark.requirement("a release that ten bad requests roll back")
    @pytest.mark.parametrize(
        ("namespace", "metric"),
        [
            ("AWS/ApiGateway", "4xx"),
            ("AWS/DynamoDB", "UserErrors"),
            ("AWS/DynamoDB", "WriteThrottleEvents"),
            ("AWS/CloudFront", "4xxErrorRate"),
            ("AWS/ApplicationELB", "HTTPCode_Target_4XX_Count"),
            ("AWS/WAFV2", "BlockedRequests"),
        ],
    )
    def test_metrics_that_callers_influence_are_known(self, namespace: str, metric: str) -> None:
        for alarm in (_alarm(namespace, metric), _math(namespace, metric)):
            assert broken("NoRollbackByCallers", {"Alarm": alarm, "Group": _group()}) == ["Alarm"]

    def test_an_alarm_that_only_notifies_is_accepted(self) -> None:
        assert broken("NoRollbackByCallers", {"Alarm": REFUSALS}) == []
        assert broken("NoRollbackByCallers", {"Alarm": REFUSALS, "Group": _group(enabled=False)}) == []

    @pytest.mark.parametrize(
        "rule",
        [
            {"Fn::Sub": 'ALARM("${Alarm}") OR ALARM("${Other}")'},
            {"Fn::Join": ["", ['ALARM("', {"Ref": "Alarm"}, '")']]},
        ],
    )
    def test_composite_alarms_are_followed(self, rule: dict[str, Any]) -> None:
        composite = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": rule}}
        template = {"Alarm": REFUSALS, "Both": composite, "Group": _group({"Ref": "Both"})}

        assert broken("NoRollbackByCallers", template) == ["Alarm"]

    def test_throttles_count_where_an_api_reaches_the_function(self) -> None:
        throttles = _alarm("AWS/Lambda", "Throttles", FunctionName={"Ref": "Function"})
        template = {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {}},
            "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Function"}}},
            "Alarm": throttles,
            "Group": _group(),
        }
        route = {
            "Type": "AWS::ApiGateway::Method",
            "Properties": {"Integration": {"Uri": {"Fn::Join": ["", ["arn:…/", {"Ref": "Live"}, "/invocations"]]}}},
        }

        assert broken("NoRollbackByCallers", template) == []
        assert broken("NoRollbackByCallers", {**template, "Route": route}) == ["Alarm"]

    def test_alarms_are_found_by_name_and_across_stacks(self) -> None:
        # Given an alarm of another stack, referred to by output and by name
        named = {**REFUSALS, "Properties": {**REFUSALS["Properties"], "AlarmName": "orders-refused"}}
        other = planted_stack(
            {"Resources": {"Alarm": named}, "Outputs": {"Name": {"Value": {"Ref": "Alarm"}}}}, name="alarms"
        )
        for name in ({"Fn::GetStackOutput": {"StackName": "alarms", "OutputName": "Name"}}, "orders-refused"):
            assert broken("NoRollbackByCallers", {"Group": _group(name)}, other) == ["Alarm"]

    def test_an_unknown_alarm_is_reported(self) -> None:
        assert broken("NoRollbackByCallers", {"Group": _group("somewhere-else")}) == ["Group"]


class TestLatency:
    """A duration alarm rolls back only if callers wait for the function, and its threshold can be reached."""

    @staticmethod
    def function(threshold: float, *, timeout: int | None = 30, reads: bool = False) -> dict[str, Any]:
        mapping = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"FunctionName": {"Ref": "Live"}}}
        return {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": timeout} if timeout else {}},
            "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Function"}}},
            "Alarm": _alarm("AWS/Lambda", "Duration", threshold, FunctionName={"Ref": "Function"}),
            "Group": _group(),
            **({"Mapping": mapping} if reads else {}),
        }

    @pytest.mark.requirement("safe deployments")
    def test_functions_that_read_batches_have_no_latency_alarm(self) -> None:
        assert broken("NoLatencyOfBatches", self.function(3000, reads=True)) == ["Alarm"]
        assert broken("NoLatencyOfBatches", self.function(3000)) == []

    @pytest.mark.parametrize(
        ("threshold", "timeout", "found"),
        [
            (3000, 30, []),
            (30_000, 30, ["Alarm"]),
            (299, 30, ["Alarm"]),
            (300, 30, []),
            (2999, None, []),
            (3000, 3, ["Alarm"]),
        ],
    )
    def test_the_threshold_fits_the_timeout(self, threshold: float, timeout: int | None, found: list[str]) -> None:
        assert broken("LatencyFitsTimeout", self.function(threshold, timeout=timeout)) == found
