"""Rules about CodeDeploy."""

from __future__ import annotations

from typing import Any

import pytest

from unit.rules.aws.judging import broken

ARN = "arn:aws:lambda:eu-west-1:123456789012:function:check"


def _hooked(hook: object, event: str = "BeforeAllowTrafficHook") -> dict[str, Any]:
    return {
        "Hook": {"Type": "AWS::Lambda::Function"},
        "HookLive": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Hook"}}},
        "HookVersion": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Hook"}}},
        "Live": {"Type": "AWS::Lambda::Alias", "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {event: hook}}},
    }


@pytest.mark.parametrize("event", ["BeforeAllowTrafficHook", "AfterAllowTrafficHook"])
@pytest.mark.parametrize(
    ("hook", "wrong"),
    [
        ({"Ref": "Hook"}, []),
        ({"Fn::GetAtt": ["Hook", "Arn"]}, []),
        ("check", []),
        (ARN, []),
        (f"{ARN}:live", ["Live"]),
        ({"Ref": "HookLive"}, ["Live"]),
        ({"Ref": "HookVersion"}, ["Live"]),
        ({"Fn::ImportValue": "somewhere-else"}, ["Live"]),
    ],
)
def test_hooks_are_named_by_function(event: str, hook: object, wrong: list[str]) -> None:
    assert broken("HookByFunctionName", _hooked(hook, event)) == wrong


def _group(*alarms: dict[str, Any]) -> dict[str, Any]:
    named = {f"Alarm{number}": alarm for number, alarm in enumerate(alarms)}
    watched = [{"Name": {"Ref": name}} for name in named]
    group = {"AlarmConfiguration": {"Alarms": watched, "Enabled": True}}
    return {**named, "Group": {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": group}}


def _alarm(metric: str, *dimensions: str) -> dict[str, Any]:
    named = [{"Name": name, "Value": "x"} for name in dimensions]
    properties = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": named}
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}


THROTTLES = _alarm("Throttles", "FunctionName", "Resource", "ExecutedVersion")


def test_rollback_needs_a_metric_of_executions() -> None:
    assert broken("RollbackSeesVersion", _group(THROTTLES)) == ["Group"]
    assert broken("RollbackSeesVersion", _group(THROTTLES, _alarm("Errors", "ExecutedVersion"))) == []
    assert broken("RollbackSeesVersion", _group(_alarm("Throttles", "FunctionName"))) == []
