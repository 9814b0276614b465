"""Rules on CloudWatch: alarms that roll a release back, and their triggers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.aws.dynamodb import metrics_of
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, Value, listed, text

_API_METRICS = "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"
_LAMBDA_METRICS = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"

_ALARM, _COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"

BY_CALLERS: Mapping[str, frozenset[str]] = {
    "AWS/ApiGateway": frozenset({"4XXError", "4xx", "Count", "ClientError"}),
    "AWS/ApplicationELB": frozenset({"HTTPCode_ELB_4XX_Count", "HTTPCode_Target_4XX_Count", "RequestCount"}),
    "AWS/CloudFront": frozenset({"4xxErrorRate", "Requests"}),
    "AWS/Cognito": frozenset({"SignInThrottles", "SignUpThrottles", "TokenRefreshThrottles", "FederationThrottles"}),
    "AWS/DynamoDB": frozenset({"ReadThrottleEvents", "ThrottledRequests", "UserErrors", "WriteThrottleEvents"}),
    "AWS/WAFV2": frozenset({"BlockedRequests", "CountedRequests"}),
}
"""Metrics that any caller can trigger, by namespace. Lambda's `Throttles` is another one if an API invokes the
function."""

_SENDERS = {
    "AWS::ApiGateway::Method": ("Integration", "Uri"),
    "AWS::ApiGatewayV2::Integration": ("IntegrationUri",),
    "AWS::Lambda::Url": ("TargetFunctionArn",),
}

LEAST_SHARE = 100
"""A latency alarm below this fraction of the time-out means that one of the two is wrong."""

_DEFAULT_TIMEOUT = 3
"""Seconds: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html."""


def _roll_back_by(templates: Templates) -> Iterator[tuple[Resource, Value]]:
    """Yield each resource that rolls a release back automatically on alarms, and the value that names them."""
    for group in templates.of_type("AWS::CodeDeploy::DeploymentGroup"):
        if group.get("AlarmConfiguration", "Enabled") is not False:
            yield group, [each.get("Name") for each in group.get("AlarmConfiguration", "Alarms") or []]
    for service in templates.of_type("AWS::ECS::Service"):
        yield service, service.get("DeploymentConfiguration", "Alarms", "AlarmNames")
    for environment in templates.of_type("AWS::AppConfig::Environment"):
        yield environment, [each.get("AlarmArn") for each in environment.get("Monitors") or []]
    for pipeline in templates.of_type("AWS::CodePipeline::Pipeline"):
        yield (
            pipeline,
            [
                rule.get("Configuration", {}).get("AlarmName")
                for stage in pipeline.get("Stages") or []
                for moment in ("BeforeEntry", "OnSuccess")
                for condition in stage.get(moment, {}).get("Conditions", [])
                for rule in condition.get("Rules", [])
                if rule.get("RuleTypeId", {}).get("Provider") == "CloudWatchAlarm"
            ],
        )


def alarms_named(templates: Templates, by: Resource, value: Value) -> Iterator[Resource | str]:
    """Yield the metric alarms that a value names, including those of composite alarms.

    Args:
        templates: All templates.
        by: The resource with the value.
        value: Names or ARNs of alarms, literal or by reference.

    Yields:
        Each alarm; the name if it is in none of the templates.
    """
    for each in listed(value or []):
        found = [one for one in templates.referred(by.stack, each) if one.type in {_ALARM, _COMPOSITE}]
        found = found or [
            alarm
            for alarm in templates.of_type(_ALARM, _COMPOSITE)
            if alarm.get("AlarmName") is not None
            and text(alarm.get("AlarmName")) == text(each).rpartition(":alarm:")[2]
            and (alarm.stack.account, alarm.stack.region) == (by.stack.account, by.stack.region)
        ]
        if not found and each is not None:
            yield text(each)
        for alarm in found:
            if alarm.type == _ALARM:
                yield alarm
            else:
                yield from (
                    one for one in templates.referred(alarm.stack, alarm.get("AlarmRule")) if one.type == _ALARM
                )


def set_off_by_callers(templates: Templates, alarm: Resource) -> bool:
    """Return True if any caller can trigger an alarm.

    Args:
        templates: All templates.
        alarm: An `AWS::CloudWatch::Alarm`.
    """
    for metric in metrics_of(alarm):
        namespace, name = metric.get("Namespace"), metric.get("MetricName")
        if name in BY_CALLERS.get(str(namespace), ()):
            return True
        if (namespace, name) == ("AWS/Lambda", "Throttles"):
            functions = _functions(templates, alarm, metric)
            if any(_is_reached_by_callers(templates, function) for function in functions):
                return True
    return False


def _functions(templates: Templates, alarm: Resource, metric: Mapping[str, Any]) -> list[Resource]:
    """Return the functions that a metric belongs to."""
    named = [each.get("Value") for each in metric.get("Dimensions") or [] if each.get("Name") == "FunctionName"]
    return [one for one in templates.referred(alarm.stack, named) if one.type == "AWS::Lambda::Function"]


def _is_reached_by_callers(templates: Templates, function: Resource) -> bool:
    return any(
        function in _function_behind(templates, target)
        for sender in templates.of_type(*_SENDERS)
        for target in templates.referred(sender.stack, sender.get(*_SENDERS[sender.type]))
    )


def _function_behind(templates: Templates, target: Resource) -> list[Resource]:
    """Return a function, or the one behind an alias or version."""
    if target.type == "AWS::Lambda::Function":
        return [target]
    if target.type in {"AWS::Lambda::Alias", "AWS::Lambda::Version"}:
        return list(templates.referred(target.stack, target.get("FunctionName")))
    return []


def _rolled_back_by_callers(templates: Templates) -> Iterator[Found]:
    for by, value in _roll_back_by(templates):
        for alarm in alarms_named(templates, by, value):
            if isinstance(alarm, str):
                yield Found(by.stack, by.logical_id, f"Unresolved::{alarm}")
            elif set_off_by_callers(templates, alarm):
                yield Found(alarm.stack, alarm.logical_id)


def _latency(templates: Templates) -> Iterator[tuple[Resource, Resource]]:
    """Yield the alarms on durations that roll a release back, each with its function."""
    for by, value in _roll_back_by(templates):
        for alarm in alarms_named(templates, by, value):
            if isinstance(alarm, str):
                continue
            for metric in metrics_of(alarm):
                if (metric.get("Namespace"), metric.get("MetricName")) == ("AWS/Lambda", "Duration"):
                    yield from ((alarm, function) for function in _functions(templates, alarm, metric))


def _latency_of_batches(templates: Templates) -> Iterator[Found]:
    readers = [
        function
        for mapping in templates.of_type("AWS::Lambda::EventSourceMapping")
        for target in templates.referred(mapping.stack, mapping.get("FunctionName"))
        for function in _function_behind(templates, target)
    ]
    for alarm, function in _latency(templates):
        if function in readers:
            yield Found(alarm.stack, alarm.logical_id)


def _latency_beside_the_timeout(templates: Templates) -> Iterator[Found]:
    for alarm, function in _latency(templates):
        threshold, timeout = alarm.get("Threshold"), function.get("Timeout") or _DEFAULT_TIMEOUT
        if isinstance(threshold, (int, float)) and isinstance(timeout, (int, float)):
            limit = timeout * 1000
            if threshold >= limit or threshold * LEAST_SHARE < limit:
                yield Found(alarm.stack, alarm.logical_id)


def _function_alarm(metric: str, threshold: float) -> dict[str, Any]:
    return {
        "Type": _ALARM,
        "Properties": {
            "Namespace": "AWS/Lambda",
            "MetricName": metric,
            "Dimensions": [{"Name": "FunctionName", "Value": {"Ref": "Function"}}],
            "Threshold": threshold,
        },
    }


_GROUP = {
    "Type": "AWS::CodeDeploy::DeploymentGroup",
    "Properties": {"AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": "Alarm"}}]}},
}

RULES = (
    AwsRule(
        name="NoRollbackByCallers",
        does="CloudWatch counts refused callers, and the throttling they cause, so anybody can trigger "
        "such an alarm with a few bad requests, and roll back a good release.",
        says="A deployment, a stage or a service rolls back on an alarm that callers can trigger, or that cannot be "
        "seen.",
        fix="Roll back on errors, faults and latency of the new version; let 4xx and throttles only notify people.",
        source=_API_METRICS,
        check=_rolled_back_by_callers,
        planted={
            "Alarm": {
                "Type": _ALARM,
                "Properties": {"Namespace": "AWS/ApiGateway", "MetricName": "4XXError"},
            },
            "Group": _GROUP,
        },
    ),
    AwsRule(
        name="NoLatencyOfBatches",
        does="Lambda counts a whole batch of a queue or stream as one invocation: its duration depends on the "
        "waiting work, not on the version.",
        says="A function that reads a queue or a stream rolls back on its duration.",
        fix="Remove the alarm; roll back on errors, and watch the age of the backlog.",
        source=_LAMBDA_METRICS,
        check=_latency_of_batches,
        planted={
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 900}},
            "Mapping": {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {"FunctionName": {"Ref": "Function"}},
            },
            "Alarm": _function_alarm("Duration", 100_000),
            "Group": _GROUP,
        },
    ),
    AwsRule(
        name="LatencyFitsTimeout",
        does="No invocation takes longer than the function's time-out, so an alarm at or above it never triggers; "
        "one far below it treats ordinary work as a fault.",
        says="A function rolls back on a duration that it cannot reach, or that is less than a hundredth of its "
        "time-out.",
        fix="Derive the threshold from the function's own time-out, or change the time-out.",
        source=_LAMBDA_METRICS,
        check=_latency_beside_the_timeout,
        planted={
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {"Timeout": 3}},
            "Alarm": _function_alarm("Duration", 3000),
            "Group": _GROUP,
        },
    ),
)
