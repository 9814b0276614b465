"""Rules on how a new version gets traffic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from slipway.rules.aws.cloudwatch import set_off_by_callers
from slipway.rules.model import Found, Resource, Rule, Templates, text

_ALIAS = "AWS::Lambda::Alias"
_FUNCTIONS = ("AWS::Lambda::Function", "AWS::Lambda::Version")

# The property with which a resource sends requests or events to a function.
_SENDERS = {
    "AWS::ApiGateway::Authorizer": ("AuthorizerUri",),
    "AWS::ApiGateway::Method": ("Integration", "Uri"),
    "AWS::ApiGatewayV2::Authorizer": ("AuthorizerUri",),
    "AWS::ApiGatewayV2::Integration": ("IntegrationUri",),
    "AWS::Events::Rule": ("Targets",),
    "AWS::Lambda::EventSourceMapping": ("FunctionName",),
    "AWS::Lambda::Url": ("TargetFunctionArn",),
    "AWS::S3::Bucket": ("NotificationConfiguration", "LambdaConfigurations"),
    "AWS::SNS::Subscription": ("Endpoint",),
}
_APIS = [sender for sender in _SENDERS if sender.startswith("AWS::ApiGateway")]

_NAMESPACE = "AWS/Lambda"
# Suffix that slipway.blocks.identity adds to a description.
_IDENTITY = re.compile(r" \(uses [0-9a-f]{8}\)$")
_ROLLS_BACK_ON_ALARM = "DEPLOYMENT_STOP_ON_ALARM"


def _unguarded(templates: Templates) -> Iterator[Found]:
    for alias in _aliases_with_traffic(templates):
        if not any(_guards(templates, group) for group in _deployment_groups(templates, alias)):
            yield Found(alias.stack, alias.logical_id)


def _aliases_with_traffic(templates: Templates) -> Iterator[Resource]:
    found = {
        (target.stack.path, target.logical_id): target
        for sender in templates.of_type(*_SENDERS)
        for target in templates.referred(sender.stack, sender.get(*_SENDERS[sender.type]))
        if target.type == _ALIAS
    }
    return (found[key] for key in sorted(found))


def _deployment_groups(templates: Templates, alias: Resource) -> Iterator[Resource]:
    update = alias.body.get("UpdatePolicy", {}).get("CodeDeployLambdaAliasUpdate", {})
    for resource in templates.referred(alias.stack, update.get("DeploymentGroupName")):
        if resource.type == "AWS::CodeDeploy::DeploymentGroup":
            yield resource


def _guards(templates: Templates, group: Resource) -> bool:
    """Return True if a group rolls back on Lambda's own `Errors`, which cover a version that cannot be imported.

    Alarms on the handler's own metrics may exist beside it; alone they would miss such a version.
    """
    watching = group.get("AlarmConfiguration", "Enabled") is not False
    rollback = group.get("AutoRollbackConfiguration") or {}
    alarms = [
        alarm
        for alarm in templates.referred(group.stack, group.get("AlarmConfiguration", "Alarms"))
        if alarm.type == "AWS::CloudWatch::Alarm"
    ]
    return (
        watching
        and rollback.get("Enabled") is True
        and _ROLLS_BACK_ON_ALARM in rollback.get("Events", [])
        and any(alarm.get("Namespace") == _NAMESPACE and alarm.get("MetricName") == "Errors" for alarm in alarms)
    )


def _past_the_alias(templates: Templates) -> Iterator[Found]:
    for api in templates.of_type(*_APIS):
        uri = api.get(*_SENDERS[api.type])
        targets = {resource.type for resource in templates.referred(api.stack, uri)}
        # A literal value names no alias of this app.
        named = ":function:" in str(uri) and not targets
        if named or targets.intersection(_FUNCTIONS):
            yield Found(api.stack, api.logical_id)


def _keeps_what_was(templates: Templates) -> Iterator[Found]:
    for version in templates.of_type("AWS::Lambda::Version"):
        for function in templates.referred(version.stack, version.get("FunctionName")):
            used = any(templates.referred(function.stack, function.get("Environment", "Variables")))
            if used and not _IDENTITY.search(str(function.get("Description") or "")):
                yield Found(function.stack, function.logical_id)


def _relayed(templates: Templates) -> Iterator[Found]:
    relays = [
        rule
        for rule in templates.of_type("AWS::Events::Rule")
        if "CloudWatch Alarm State Change" in (rule.get("EventPattern", "detail-type") or [])
        and any(":event-bus/" in text(target.get("Arn")) for target in rule.get("Targets") or [])
    ]
    for alarm in templates.of_type("AWS::CloudWatch::Alarm"):
        if any(_meets(alarm, rule) for rule in relays) and set_off_by_callers(templates, alarm):
            yield Found(alarm.stack, alarm.logical_id)


def _meets(alarm: Resource, rule: Resource) -> bool:
    """Return True if an alarm's state change can match an event rule, by the alarm's name."""
    if (alarm.stack.account, alarm.stack.region) != (rule.stack.account, rule.stack.region):
        return False
    # CloudFormation's name, without its random suffix.
    name = text(alarm.get("AlarmName") or f"{alarm.stack.name}-{alarm.logical_id}-")
    arn = f":cloudwatch:{alarm.stack.region}:{alarm.stack.account}:alarm:{name}"
    return _any_matches(rule.get("EventPattern", "detail", "alarmName"), name) and _any_matches(
        rule.get("EventPattern", "resources"), arn
    )


def _any_matches(patterns: Any, value: str) -> bool:
    return patterns is None or any(_matches(pattern, value) for pattern in patterns)


def _matches(pattern: Any, value: str) -> bool:
    """Return True if a value matches one pattern of an event rule; unsupported patterns count as a match.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    match pattern:
        case str():
            return pattern == value
        case {"prefix": wanted}:
            # A suffix of an ARN, whatever its partition.
            return value.startswith(re.sub(r"^arn:[^:]+(?=:)", "", text(wanted)))
        case {"suffix": wanted}:
            return value.endswith(text(wanted))
        case {"wildcard": list(wanted)}:
            return any(fnmatchcase(value, text(each)) for each in wanted)
        case {"wildcard": wanted}:
            return fnmatchcase(value, text(wanted))
        case {"anything-but": str() | dict() as unwanted}:
            return not _matches(unwanted, value)
        case {"anything-but": list(unwanted)}:
            return not any(_matches(each, value) for each in unwanted)
    return True


RULES = (
    Rule(
        name="ReleaseJudgedByItself",
        says="An alarm that callers can trigger is relayed to the pipeline, where it counts against the release "
        "that bakes, so anybody could roll it back.",
        fix="Create it with ServiceAlarms (slipway.blocks.alarms), or include SetOffByCallers in its name.",
        check=_relayed,
    ),
    Rule(
        name="TrafficAliasGuarded",
        says="An alias that takes traffic moves to a new version without a deployment group that rolls back on an "
        "alarm on Lambda's own Errors.",
        fix="Give the function a SafeDeployment (slipway.blocks.deployment).",
        check=_unguarded,
    ),
    Rule(
        name="ApiReachesAlias",
        says="A route calls a function or a version directly instead of its alias, so no deployment can shift its "
        "traffic.",
        fix="Integrate the alias `live`.",
        check=_past_the_alias,
    ),
    Rule(
        name="VersionFollowsWhatItUses",
        says="A function gets no new version when a resource that it uses is replaced under the same id, so its "
        "alias continues to use the deleted one.",
        fix="Create it as a ServiceFunction (slipway.blocks.function), or use with_identity for its description.",
        check=_keeps_what_was,
    ),
)
