"""Stage conditions, which CDK Pipelines cannot set.

A condition stands at the entry of a stage, at its success or at its failure, and is made of rules
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html). CDK Pipelines builds the stages
itself, so the conditions are written into the pipeline's template afterwards, to stages found by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws_cdk import aws_codepipeline as codepipeline

from slipway.settings.model import DeploymentWindow


class Result(StrEnum):
    """What becomes of the stage when the condition is met, or, at its entry and success, is not."""

    FAIL = "FAIL"
    ROLLBACK = "ROLLBACK"
    RETRY = "RETRY"
    SKIP = "SKIP"


class RetryMode(StrEnum):
    """What a retry runs again."""

    FAILED_ACTIONS = "FAILED_ACTIONS"
    ALL_ACTIONS = "ALL_ACTIONS"


@dataclass(frozen=True, kw_only=True)
class ConditionRule:
    """One rule of a condition.

    Attributes:
        name: its name in the console: letters, digits and `.@-_`.
        provider: `DeploymentWindow`, `CloudWatchAlarm`, `LambdaInvoke`, `VariableCheck` or `Commands`.
        configuration: the provider's keys.
    """

    name: str
    provider: str
    configuration: dict[str, str]

    def render(self) -> dict[str, Any]:
        """The rule as CloudFormation writes it."""
        return {
            "Name": self.name,
            "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": self.provider, "Version": "1"},
            "Configuration": self.configuration,
        }


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of one stage; what is left out is not set.

    Attributes:
        before_entry: rules without which the stage is not entered: the execution fails and the queue moves on.
        on_success: rules that must hold after the stage's actions: if one does not, the stage is rolled back.
        on_failure: what becomes of a failed stage. `RETRY` runs all of its actions once more and leaves it failed if
            that does not help: the failed ones alone would execute a change set again that CloudFormation has done
            with. `ROLLBACK` goes back to the execution that last succeeded in it; that reaches only
            executions of the pipeline's present structure. Default: it stays failed.
    """

    before_entry: Sequence[ConditionRule] = field(default=())
    on_success: Sequence[ConditionRule] = field(default=())
    on_failure: Result | None = None

    def render(self) -> dict[str, Any]:
        """The stage's properties as CloudFormation writes them."""
        rendered: dict[str, Any] = {}
        if self.before_entry:
            rendered["BeforeEntry"] = {"Conditions": [_condition(Result.FAIL, self.before_entry)]}
        if self.on_success:
            rendered["OnSuccess"] = {"Conditions": [_condition(Result.ROLLBACK, self.on_success)]}
        if self.on_failure:
            rendered["OnFailure"] = {"Result": self.on_failure.value}
        if self.on_failure is Result.RETRY:
            rendered["OnFailure"]["RetryConfiguration"] = {"RetryMode": RetryMode.ALL_ACTIONS.value}
        return rendered


def window(settings: DeploymentWindow) -> ConditionRule:
    """A rule that lets a stage be entered at the configured days and hours only.

    Args:
        settings: `[deployment.window]` of the environment.
    """
    days = ",".join(settings.days)
    # Seconds are written and not read; year is left out. `?` since the days of the week are given.
    hours = f"{settings.from_hour}-{settings.to_hour - 1}"
    cron = f"* * {hours} ? * {days}"
    return ConditionRule(
        name="DeploymentWindow",
        provider="DeploymentWindow",
        configuration={"Cron": cron, "TimeZone": settings.time_zone},
    )


BAKE_RULE_MINUTES = 1
"""Wait time of the rule below, minutes. The build `slipway.tasks.bake` watches for `bake_minutes` before it."""


def bake(alarm_name: str) -> ConditionRule:
    """A rule that a stage's alarm is not on at its end.

    Whether it watches for its wait time, or succeeds at once when the alarm is OK at first, CodePipeline's pages do not
    agree on (`docs/first-account.md`); so nothing rests on its wait time.

    Args:
        alarm_name: an alarm of the pipeline's own account and region: the rule sees no other.
    """
    return ConditionRule(
        name="Bake",
        provider="CloudWatchAlarm",
        configuration={"AlarmName": alarm_name, "AlarmStates": "ALARM", "WaitTime": str(BAKE_RULE_MINUTES)},
    )


def set_conditions(pipeline: codepipeline.Pipeline, conditions: Mapping[str, Conditions]) -> None:
    """Write conditions to stages of a built pipeline.

    Args:
        pipeline: the pipeline; CDK Pipelines must have built it.
        conditions: by the stage's name.

    Raises:
        KeyError: a stage of that name is not there.
    """
    for name, wanted in conditions.items():
        for key, value in wanted.render().items():
            _override(pipeline, name, key, value)


def set_timeout(pipeline: codepipeline.Pipeline, stage: str, action: str, minutes: int) -> None:
    """Give a manual approval a time-out of its own: CDK Pipelines cannot, and CodePipeline's is seven days.

    Args:
        pipeline: the pipeline; CDK Pipelines must have built it.
        stage: the stage's name.
        action: the action's name.
        minutes: 5 to 86,400.

    Raises:
        KeyError: there is no such stage or action.
    """
    names = [each.action_properties.action_name for each in _stage(pipeline, stage).actions]
    if action not in names:
        raise KeyError(f"no action {action!r} in {stage}: there are {', '.join(names)}")
    _override(pipeline, stage, f"Actions.{names.index(action)}.TimeoutInMinutes", minutes)


def freeze(pipeline: codepipeline.Pipeline, reasons: Mapping[str, str]) -> None:
    """Let nothing enter some stages: what is before them runs on, and waits there.

    Args:
        pipeline: the pipeline; CDK Pipelines must have built it.
        reasons: by the stage's name; the console shows them.

    Raises:
        KeyError: a stage of that name is not there.
    """
    for name in reasons:
        _stage(pipeline, name)
    if reasons:
        _resource(pipeline).add_property_override(
            "DisableInboundStageTransitions",
            [{"StageName": name, "Reason": reason} for name, reason in reasons.items()],
        )


def _override(pipeline: codepipeline.Pipeline, stage: str, path: str, value: object) -> None:
    _resource(pipeline).add_property_override(f"Stages.{_position(pipeline, stage)}.{path}", value)


def _stage(pipeline: codepipeline.Pipeline, name: str) -> codepipeline.IStage:
    return pipeline.stages[_position(pipeline, name)]


def _position(pipeline: codepipeline.Pipeline, name: str) -> int:
    names = [stage.stage_name for stage in pipeline.stages]
    if name not in names:
        raise KeyError(f"no stage {name!r}: there are {', '.join(names)}")
    return names.index(name)


def _resource(pipeline: codepipeline.Pipeline) -> codepipeline.CfnPipeline:
    resource = pipeline.node.default_child
    if not isinstance(resource, codepipeline.CfnPipeline):
        raise TypeError(f"{pipeline.node.path} has no CloudFormation resource")
    return resource


def _condition(result: Result, rules: Sequence[ConditionRule]) -> dict[str, Any]:
    return {"Result": result.value, "Rules": [rule.render() for rule in rules]}
