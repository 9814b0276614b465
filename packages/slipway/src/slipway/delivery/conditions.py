"""Stage conditions, which CDK Pipelines does not support.

A condition applies to the entry, the success or the failure of a stage, and consists of rules
(https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-conditions.html). CDK Pipelines builds the stages
itself, so the conditions are added to the pipeline's template afterwards, to stages found by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aws_cdk import aws_codepipeline as codepipeline

from slipway.settings.model import DeploymentWindow


class Result(StrEnum):
    """What happens to the stage if a failure condition is met, or an entry or success condition is not."""

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
        name: Its name in the console: letters, digits and `.@-_`.
        provider: `DeploymentWindow`, `CloudWatchAlarm`, `LambdaInvoke`, `VariableCheck` or `Commands`.
        configuration: The provider's keys.
    """

    name: str
    provider: str
    configuration: dict[str, str]

    def render(self) -> dict[str, Any]:
        """Return the rule in CloudFormation's format."""
        return {
            "Name": self.name,
            "RuleTypeId": {"Category": "Rule", "Owner": "AWS", "Provider": self.provider, "Version": "1"},
            "Configuration": self.configuration,
        }


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Conditions of one stage; omitted ones are not set.

    Attributes:
        before_entry: Rules that must hold before the stage is entered: otherwise the execution fails and the next one
            follows.
        on_success: Rules that must hold after the stage's actions: if one does not, the stage is rolled back.
        on_failure: What happens to a failed stage. `RETRY` runs all of its actions once more; if they fail again, it
            stays failed. Retrying only the failed actions would execute a change set that CloudFormation has already
            used. `ROLLBACK` returns to the last successful execution, if the pipeline's structure has not changed
            since. Default: it stays failed.
    """

    before_entry: Sequence[ConditionRule] = field(default=())
    on_success: Sequence[ConditionRule] = field(default=())
    on_failure: Result | None = None

    def render(self) -> dict[str, Any]:
        """Return the stage's properties in CloudFormation's format."""
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
    """Return a rule that lets changes enter a stage only at the configured days and hours.

    Args:
        settings: `[deployment.window]` of the environment.
    """
    days = ",".join(settings.days)
    # The seconds are required but ignored; the year is omitted. `?` because days of the week are given.
    hours = f"{settings.from_hour}-{settings.to_hour - 1}"
    cron = f"* * {hours} ? * {days}"
    return ConditionRule(
        name="DeploymentWindow",
        provider="DeploymentWindow",
        configuration={"Cron": cron, "TimeZone": settings.time_zone},
    )


BAKE_RULE_MINUTES = 1
"""Wait time of the rule below, minutes. The build `slipway.tasks.bake` watches for `bake_minutes` before it."""


def bake(alarm_name: str, *, of: str = "") -> ConditionRule:
    """Return a rule that requires a stage's alarm to be quiet at its end.

    CodePipeline's documentation contradicts itself on whether the rule watches for its wait time or succeeds at once if
    the alarm is OK at first (`docs/first-account.md`), so nothing relies on its wait time.

    Args:
        alarm_name: An alarm of the pipeline's own account and region: the rule sees no other.
        of: The environment, if the stage has a rule for each of several.
    """
    return ConditionRule(
        name=f"Bake-{of}" if of else "Bake",
        provider="CloudWatchAlarm",
        configuration={"AlarmName": alarm_name, "AlarmStates": "ALARM", "WaitTime": str(BAKE_RULE_MINUTES)},
    )


def set_conditions(pipeline: codepipeline.Pipeline, conditions: Mapping[str, Conditions]) -> None:
    """Write conditions to stages of a built pipeline.

    Args:
        pipeline: The pipeline; CDK Pipelines must have built it.
        conditions: Conditions by the stage's name.

    Raises:
        KeyError: No stage has that name.
    """
    for name, wanted in conditions.items():
        for key, value in wanted.render().items():
            _override(pipeline, name, key, value)


def set_timeout(pipeline: codepipeline.Pipeline, stage: str, action: str, minutes: int) -> None:
    """Give a manual approval its own time-out: CDK Pipelines cannot, and CodePipeline's default is seven days.

    Args:
        pipeline: The pipeline; CDK Pipelines must have built it.
        stage: The stage's name.
        action: The action's name.
        minutes: Time-out, 5 to 86,400.

    Raises:
        KeyError: No such stage or action exists.
    """
    names = [each.action_properties.action_name for each in _stage(pipeline, stage).actions]
    if action not in names:
        raise KeyError(f"unknown action {action!r} in stage {stage}; choose from {', '.join(names)}")
    _override(pipeline, stage, f"Actions.{names.index(action)}.TimeoutInMinutes", minutes)


def freeze(pipeline: codepipeline.Pipeline, reasons: Mapping[str, str]) -> None:
    """Block the entry to some stages: executions before them continue, and wait there.

    Args:
        pipeline: The pipeline; CDK Pipelines must have built it.
        reasons: Reason by the stage's name, shown in the console.

    Raises:
        KeyError: No stage has that name.
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
        raise KeyError(f"unknown stage {name!r}; choose from {', '.join(names)}")
    return names.index(name)


def _resource(pipeline: codepipeline.Pipeline) -> codepipeline.CfnPipeline:
    resource = pipeline.node.default_child
    if not isinstance(resource, codepipeline.CfnPipeline):
        raise TypeError(f"{pipeline.node.path} has no CloudFormation resource")
    return resource


def _condition(result: Result, rules: Sequence[ConditionRule]) -> dict[str, Any]:
    return {"Result": result.value, "Rules": [rule.render() for rule in rules]}
