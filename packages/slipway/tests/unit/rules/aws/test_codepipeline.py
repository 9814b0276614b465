"""Rules about CodePipeline's stage conditions and limits."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.codepipeline import PIPELINE, RULES
from slipway.rules.aws.rule import planted_stack
from slipway.rules.model import Templates
from unit.rules.aws.judging import broken

ALARM = {"Ref": "Alarm"}


def _pipeline(*actions: dict[str, Any], provider: str = "CloudWatchAlarm", told: Any = ALARM) -> dict[str, Any]:
    rule = {"RuleTypeId": {"Provider": provider}, "Configuration": {"AlarmName": ALARM, "WaitTime": "30"}}
    stage = {"Name": "prod", "Actions": list(actions), "OnSuccess": {"Conditions": [{"Rules": [rule]}]}}
    variables = [{"Name": "ALARM", "Value": told}]
    return {
        "Alarm": {"Type": "AWS::CloudWatch::Alarm"},
        "Bake": {
            "Type": "AWS::CodeBuild::Project",
            "Properties": {"Environment": {"EnvironmentVariables": variables}},
        },
        "Pipeline": {"Type": PIPELINE, "Properties": {"Stages": [stage]}},
    }


def _action(order: int, **configuration: Any) -> dict[str, Any]:
    return {"Name": f"a{order}", "RunOrder": order, "Configuration": configuration}


DEPLOY = _action(1, StackName="items")
BAKE = _action(2, ProjectName={"Ref": "Bake"})


def test_a_bake_that_relies_only_on_the_rule_is_found() -> None:
    assert broken("AlarmRuleMayNotWait", _pipeline(DEPLOY)) == ["Pipeline"]


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(BAKE, id="a build that receives the alarm"),
        pytest.param(_action(2, Commands={"Fn::Sub": "watch ${Alarm}"}, Alarm=ALARM), id="a separate action"),
    ],
)
def test_a_last_action_that_watches_is_accepted(last: dict[str, Any]) -> None:
    assert broken("AlarmRuleMayNotWait", _pipeline(DEPLOY, last)) == []


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param((DEPLOY, BAKE, _action(3, StackName="more")), id="followed by a deployment"),
        pytest.param((DEPLOY, _action(2, ProjectName={"Fn::ImportValue": "x"})), id="a project outside the template"),
    ],
)
def test_a_missing_or_unknown_watch_is_found(actions: tuple[dict[str, Any], ...]) -> None:
    assert broken("AlarmRuleMayNotWait", _pipeline(*actions)) == ["Pipeline"]


def test_a_build_that_watches_another_alarm_is_found() -> None:
    assert broken("AlarmRuleMayNotWait", _pipeline(DEPLOY, BAKE, told={"Ref": "Other"})) == ["Pipeline"]


def test_other_condition_rules_are_ignored() -> None:
    assert broken("AlarmRuleMayNotWait", _pipeline(DEPLOY, provider="DeploymentWindow")) == []


@pytest.mark.parametrize(
    ("stages", "actions", "findings"),
    [
        (10, 50, []),
        (11, 50, ["Actions::550"]),
        (50, 10, []),
        (51, 1, ["Stages::51"]),
        (1, 51, ["Stage0::51"]),
    ],
)
def test_a_pipeline_fits_the_limits_of_codepipeline(stages: int, actions: int, findings: list[str]) -> None:
    large = [{"Name": f"Stage{number}", "Actions": [{"Name": "Any"}] * actions} for number in range(stages)]
    template = planted_stack({"Pipeline": {"Type": PIPELINE, "Properties": {"Stages": large}}})

    (rule,) = (each for each in RULES if each.name == "PipelineTooLarge")

    assert [found.finding for found in rule.check(Templates((template,)))] == findings
