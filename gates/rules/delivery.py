"""How a new version meets traffic (P8)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gates.rules.model import Found, Resource, Rule, Templates

_ALIAS = "AWS::Lambda::Alias"
_FUNCTIONS = ("AWS::Lambda::Function", "AWS::Lambda::Version")

# By which property something hands requests or events to a function.
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
# What blocks/identity.py ends a description with.
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
    """Whether it rolls back on an alarm that sees a version that cannot even be imported: on Lambda's own `Errors`.

    Alarms on what the handler itself counts may stand beside it; alone they would see nothing of such a version.
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
        # One that is written out names no alias that this app makes.
        named = ":function:" in str(uri) and not targets
        if named or targets.intersection(_FUNCTIONS):
            yield Found(api.stack, api.logical_id)


def _keeps_what_was(templates: Templates) -> Iterator[Found]:
    for version in templates.of_type("AWS::Lambda::Version"):
        for function in templates.referred(version.stack, version.get("FunctionName")):
            used = any(templates.referred(function.stack, function.get("Environment", "Variables")))
            if used and not _IDENTITY.search(str(function.get("Description") or "")):
                yield Found(function.stack, function.logical_id)


RULES = (
    Rule(
        name="TrafficAliasGuarded",
        says="An alias that takes traffic moves to a new version without a deployment group that rolls back on an "
        "alarm on Lambda's own Errors.",
        fix="Give the function a SafeDeployment (blocks/deployment.py).",
        check=_unguarded,
    ),
    Rule(
        name="ApiReachesAlias",
        says="A route reaches a function or a version past its alias, so no deployment can move its traffic.",
        fix="Integrate the alias `live`.",
        check=_past_the_alias,
    ),
    Rule(
        name="VersionFollowsWhatItUses",
        says="A function gets no new version when a resource that it uses is replaced under its own id, so its alias "
        "goes on with the one that is gone.",
        fix="Make it a ServiceFunction (blocks/function.py), or give it the description of with_identity.",
        check=_keeps_what_was,
    ),
)
