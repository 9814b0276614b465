"""Rules on CodePipeline: alarms in stage conditions, and the maximum size of a pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, listed

_CONDITIONS = "https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html"

_QUOTAS = "https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html"

PIPELINE = "AWS::CodePipeline::Pipeline"

STAGES, ACTIONS, ACTIONS_OF_A_STAGE = 50, 500, 50
"""Maximum number of stages and actions of a pipeline, and of actions of a stage (`_QUOTAS`).

None of the three can be raised. AWS has reportedly doubled both action quotas
(https://github.com/awslabs/aws-deployment-framework/issues/792); these are the lower values, at which CDK Pipelines
splits stages.
"""


def _alarms(stage: Mapping[str, Any]) -> list[Any]:
    """Return the alarms that a stage's success depends on, by the names in its rules."""
    return [
        rule.get("Configuration", {}).get("AlarmName")
        for condition in listed(stage.get("OnSuccess", {}).get("Conditions"))
        if isinstance(condition, Mapping)
        for rule in listed(condition.get("Rules"))
        if isinstance(rule, Mapping) and rule.get("RuleTypeId", {}).get("Provider") == "CloudWatchAlarm"
    ]


def _watches(templates: Templates, pipeline: Resource, action: Mapping[str, Any], alarm: Any) -> bool:
    """Return True if an action is given the alarm's name, in its own configuration or its build project's."""
    configuration = action.get("Configuration", {})
    told = [configuration]
    told += [project.body for project in templates.referred(pipeline.stack, configuration.get("ProjectName"))]
    name = json.dumps(alarm, sort_keys=True)
    return alarm is not None and any(name in json.dumps(each, sort_keys=True) for each in told)


def _last(actions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    orders = [int(action.get("RunOrder", 1)) for action in actions]
    return [action for action, order in zip(actions, orders, strict=True) if order == max(orders)]


def _unwatched(templates: Templates) -> Iterator[Found]:
    for pipeline in templates.of_type(PIPELINE):
        for stage in listed(pipeline.get("Stages")):
            if not isinstance(stage, Mapping):
                continue
            actions = [action for action in listed(stage.get("Actions")) if isinstance(action, Mapping)]
            for alarm in _alarms(stage):
                if not any(_watches(templates, pipeline, action, alarm) for action in _last(actions)):
                    yield Found(pipeline.stack, pipeline.logical_id, str(stage.get("Name", "")))


def _too_large(templates: Templates) -> Iterator[Found]:
    for pipeline in templates.of_type(PIPELINE):
        stages = [stage for stage in listed(pipeline.get("Stages")) if isinstance(stage, Mapping)]
        actions = {str(stage.get("Name", "")): len(listed(stage.get("Actions", []))) for stage in stages}
        if len(stages) > STAGES:
            yield Found(pipeline.stack, pipeline.logical_id, f"Stages::{len(stages)}")
        if sum(actions.values()) > ACTIONS:
            yield Found(pipeline.stack, pipeline.logical_id, f"Actions::{sum(actions.values())}")
        for name, count in actions.items():
            if count > ACTIONS_OF_A_STAGE:
                yield Found(pipeline.stack, pipeline.logical_id, f"{name}::{count}")


def _stage(**more: Any) -> dict[str, Any]:
    deploy = {"Name": "Deploy", "ActionTypeId": {"Category": "Deploy", "Provider": "CloudFormation"}, "RunOrder": 1}
    rule = {
        "Name": "Bake",
        "RuleTypeId": {"Category": "Rule", "Provider": "CloudWatchAlarm"},
        "Configuration": {"AlarmName": {"Ref": "Alarm"}, "WaitTime": "30"},
    }
    return {"Name": "prod", "Actions": [deploy], "OnSuccess": {"Conditions": [{"Rules": [rule]}]}, **more}


RULES = (
    AwsRule(
        name="AlarmRuleMayNotWait",
        does="A CloudWatchAlarm rule may succeed at once when the alarm is OK at first, whatever its wait time: "
        "CodePipeline's documentation contradicts itself.",
        says="The stage's bake relies on the wait time of a CloudWatchAlarm rule, so it may take no time at all.",
        fix="Let the last action of the stage watch the alarm for the duration of the bake.",
        source=_CONDITIONS,
        check=_unwatched,
        planted={"Pipeline": {"Type": PIPELINE, "Properties": {"Stages": [_stage()]}}},
    ),
    AwsRule(
        name="PipelineTooLarge",
        does=f"A pipeline has {STAGES} stages and {ACTIONS} actions at most, and a stage {ACTIONS_OF_A_STAGE} actions; "
        "CodePipeline refuses a larger one, and none of the three quotas can be raised.",
        says="The pipeline has more stages or actions than CodePipeline accepts, so its own update fails.",
        fix="Give a group of services its own pipeline.",
        source=_QUOTAS,
        check=_too_large,
        planted={
            "Pipeline": {
                "Type": PIPELINE,
                "Properties": {"Stages": [{"Name": "Much", "Actions": [{}] * (ACTIONS_OF_A_STAGE + 1)}]},
            }
        },
    ),
)
