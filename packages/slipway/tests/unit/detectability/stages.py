"""A synthesised stage with one function under CodeDeploy, which tests modify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slipway.detectability import Rollout, read

STACK = "prod-tiny-compute"
FUNCTION, ALIAS, VERSION, GROUP = (
    "ApiFunction0A1B2C3D",
    "ApiFunctionLive0A1B2C3D",
    "ApiVersion0A1B2C3D",
    "Group0A1B2C3D",
)

_OF_VERSION = [
    {"Name": "FunctionName", "Value": {"Ref": FUNCTION}},
    {"Name": "Resource", "Value": {"Fn::Join": ["", [{"Ref": FUNCTION}, ":live"]]}},
    {"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [VERSION, "Version"]}},
]


_VARIABLES = {"POWERTOOLS_METRICS_NAMESPACE": "Slipway", "POWERTOOLS_SERVICE_NAME": "tiny"}


def alarm(metric: str, threshold: float, *, dimensions: int = 3, **changes: Any) -> dict[str, Any]:
    """Return an alarm on the new version's metric, or on the metric of the alias (2) or of the function (1)."""
    properties = {
        "Namespace": "AWS/Lambda",
        "MetricName": metric,
        "Dimensions": _OF_VERSION[:dimensions],
        "Period": 60,
        "Statistic": "Sum",
        "EvaluationPeriods": 1,
        "Threshold": threshold,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [{"Ref": "TopicOfAnotherStack"}],
    }
    if "ExtendedStatistic" in changes:
        del properties["Statistic"]
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {**properties, **changes}}


def faults_alarm(**changes: Any) -> dict[str, Any]:
    """Return an alarm on the faults that the new version counts."""
    counted: list[dict[str, Any]] = [
        {"Name": "service", "Value": "tiny"},
        {"Name": "function_name", "Value": {"Ref": FUNCTION}},
        {"Name": "function_version", "Value": {"Fn::GetAtt": [VERSION, "Version"]}},
    ]
    properties = {
        "Metrics": [
            {"Id": "expr_1", "Expression": "IF(FILL(invocations, REPEAT), faults)", "Label": "Faults"},
            _query("invocations", "AWS/Lambda", "Invocations", _OF_VERSION),
            _query("faults", "Slipway", "Faults", counted),
        ],
        "EvaluationPeriods": 5,
        "DatapointsToAlarm": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
    }
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {**properties, **changes}}


def _query(identifier: str, namespace: str, name: str, dimensions: list[dict[str, Any]]) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions}
    return {"Id": identifier, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}


ALARMS = {
    "Errors0A1B2C3D": alarm("Errors", 1),
    "Latency0A1B2C3D": alarm("Duration", 3000, ExtendedStatistic="p99"),
}


def resources(
    configuration: Any = "CodeDeployDefault.LambdaCanary10Percent5Minutes",
    *,
    alarms: dict[str, dict[str, Any]] = ALARMS,
    **more: dict[str, Any],
) -> dict[str, Any]:
    """Return the resources of the stack.

    Args:
        configuration: Deployment configuration of the group.
        alarms: Alarms of the group, by logical id.
        more: Other resources of the stack.
    """
    return {
        FUNCTION: {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": _VARIABLES}}},
        VERSION: {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": FUNCTION}}},
        ALIAS: {
            "Type": "AWS::Lambda::Alias",
            "Properties": {
                "FunctionName": {"Ref": FUNCTION},
                "FunctionVersion": {"Fn::GetAtt": [VERSION, "Version"]},
                "Name": "live",
            },
            "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {"DeploymentGroupName": {"Ref": GROUP}}},
        },
        **alarms,
        GROUP: {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {
                "DeploymentConfigName": configuration,
                "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": name}} for name in alarms]},
                "AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_STOP_ON_ALARM"]},
            },
        },
        **more,
    }


def rollout(*arguments: Any, **changes: Any) -> Rollout:
    """Return the stage's only deployment group; the arguments are those of `resources`."""
    return rollout_of(resources(*arguments, **changes))


def rollout_of(stack: dict[str, Any]) -> Rollout:
    """Return the only deployment group of a stack's resources."""
    (found,) = read({STACK: {"Resources": stack}}, "prod", "tiny")
    return found


def assembly(folder: Path, stage: str, stack: dict[str, Any]) -> Path:
    """Write a stage in the layout of `cdk synth`."""
    place = folder / f"assembly-Pipeline-{stage}"
    place.mkdir(parents=True)
    artifact = {
        "type": "aws:cloudformation:stack",
        "properties": {"stackName": STACK, "templateFile": "stack.json"},
    }
    (place / "manifest.json").write_text(json.dumps({"artifacts": {"a": artifact, "tree": {"type": "cdk:tree"}}}))
    (place / "stack.json").write_text(json.dumps({"Resources": stack}))
    return folder
