"""Rules on CodeDeploy: the shift of a Lambda alias to a new version."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.dynamodb import metrics_of
from slipway.rules.aws.functions import ALIAS, FUNCTION, VERSION
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates

_HOOKS = "https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html"
_METRICS = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"

_BY_EXECUTION = frozenset({"Invocations", "Errors", "Duration"})
"""Metrics of invocations: only these can be split by the executed version."""


def _hook_by_qualifier(templates: Templates) -> Iterator[Found]:
    for alias in templates.of_type(ALIAS):
        update = alias.body.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
        for event in ("BeforeAllowTrafficHook", "AfterAllowTrafficHook"):
            if event not in update:
                continue
            targets = {found.type for found in templates.referred(alias.stack, update[event])}
            literal = update[event] if isinstance(update[event], str) else ""
            qualified = ":" in literal.rpartition(":function:")[2]
            if qualified or targets & {ALIAS, VERSION} or not (literal or FUNCTION in targets):
                yield Found(alias.stack, alias.logical_id, event)


def _blind_rollback(templates: Templates) -> Iterator[Found]:
    for group in templates.of_type("AWS::CodeDeploy::DeploymentGroup"):
        watched = group.get("AlarmConfiguration", "Alarms")
        alarms = [each for each in templates.referred(group.stack, watched) if each.type == "AWS::CloudWatch::Alarm"]
        if alarms and not any(_sees_a_version(alarm) for alarm in alarms):
            yield Found(group.stack, group.logical_id)


def _sees_a_version(alarm: Resource) -> bool:
    """Return False if all that an alarm reads is undocumented: a metric without invocations, by executed version."""
    return any(
        metric.get("Namespace") != "AWS/Lambda"
        or metric.get("MetricName") in _BY_EXECUTION
        or "ExecutedVersion" not in {dimension.get("Name") for dimension in metric.get("Dimensions") or ()}
        for metric in metrics_of(alarm)
    )


RULES = (
    AwsRule(
        name="HookByFunctionName",
        does="CodeDeploy documents a lifecycle hook as the name of a Lambda function; its pages don't mention "
        "qualifiers.",
        says="A hook of a deployment names an alias or a version, so every deployment may fail to call it.",
        fix="Name the function itself, and let the role of the deployment group invoke its unqualified ARN.",
        source=_HOOKS,
        check=_hook_by_qualifier,
        planted={
            "Hook": {"Type": FUNCTION},
            "HookLive": {"Type": ALIAS, "Properties": {"FunctionName": {"Ref": "Hook"}, "Name": "live"}},
            "Live": {
                "Type": ALIAS,
                "UpdatePolicy": {
                    "CodeDeployLambdaAliasUpdate": {
                        "BeforeAllowTrafficHook": {
                            "Fn::Join": [":", [{"Fn::Select": [6, {"Fn::Split": [":", {"Ref": "HookLive"}]}]}, "live"]]
                        }
                    }
                },
            },
        },
    ),
    AwsRule(
        name="RollbackSeesVersion",
        does="Lambda documents the dimension ExecutedVersion for invocations that a version executed; no version "
        "executes a throttled request.",
        says="A deployment only rolls back on alarms that read such a metric by ExecutedVersion, which may never have "
        "a data point.",
        fix="Give the deployment group an alarm on Errors of the new version.",
        source=_METRICS,
        check=_blind_rollback,
        planted={
            "Throttles": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": "Throttles",
                    "Dimensions": [{"Name": "FunctionName", "Value": "a"}, {"Name": "ExecutedVersion", "Value": "2"}],
                },
            },
            "Group": {
                "Type": "AWS::CodeDeploy::DeploymentGroup",
                "Properties": {"AlarmConfiguration": {"Alarms": [{"Name": {"Ref": "Throttles"}}], "Enabled": True}},
            },
        },
    ),
)
