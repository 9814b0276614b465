"""Deployment groups are read from templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.detectability import FailureMode, MetricScope, Survey, Trigger
from slipway.detectability.rollouts import groups_of_others, read, templates
from slipway.detectability.run import examine_assembly
from slipway.errors import RehearsalError
from unit.detectability.stages import (
    ALARMS,
    ALIAS,
    FUNCTION,
    GROUP,
    STACK,
    alarm,
    assembly,
    faults_alarm,
    resources,
    rollout,
    rollout_of,
)

MAPPING = {
    "Type": "AWS::Lambda::EventSourceMapping",
    "Properties": {"FunctionName": {"Fn::Join": ["", [{"Fn::Select": [6, {"Ref": ALIAS}]}, ":live"]]}},
}


def test_group_is_read_with_alias_alarms_and_traffic() -> None:
    found = rollout()

    assert (found.environment, found.service, found.function, found.name) == ("prod", "tiny", "api", "tiny api")
    assert found.shift.name == "Canary10Percent5Minutes"
    assert [one.name for one in found.alarms] == ["Errors", "Latency"]
    # Both alarms watch the new version only
    assert list(found.scopes.values()) == [MetricScope.VERSION, MetricScope.VERSION]
    assert not found.blind


@pytest.mark.parametrize(
    ("more", "trigger"),
    [
        ({}, Trigger.REQUESTS),
        ({"Mapping": MAPPING}, Trigger.QUEUE),
        (
            {"Mapping": {**MAPPING, "Properties": {**MAPPING["Properties"], "StartingPosition": "LATEST"}}},  # type: ignore[dict-item]
            Trigger.STREAM,
        ),
        (
            {
                "Invoke": {
                    "Type": "AWS::Lambda::EventInvokeConfig",
                    "Properties": {"FunctionName": {"Ref": FUNCTION}, "Qualifier": {"Fn::Select": [7, {"Ref": ALIAS}]}},
                }
            },
            Trigger.ASYNCHRONOUS,
        ),
        (
            {
                "Invoke": {
                    "Type": "AWS::Lambda::EventInvokeConfig",
                    "Properties": {"FunctionName": {"Ref": FUNCTION}, "Qualifier": {"Ref": "StagingAlias"}},
                }
            },
            Trigger.REQUESTS,
        ),
    ],
)
def test_what_invokes_a_function(more: dict[str, Any], trigger: Trigger) -> None:
    assert rollout(**more).trigger is trigger


@pytest.mark.parametrize(
    ("dimensions", "scope"), [(3, MetricScope.VERSION), (2, MetricScope.ALIAS), (1, MetricScope.ALIAS)]
)
def test_dimensions_say_whose_invocations_count(dimensions: int, scope: MetricScope) -> None:
    found = rollout(alarms={"Errors": alarm("Errors", 1, dimensions=dimensions)})

    assert list(found.scopes.values()) == [scope]


@pytest.mark.parametrize(
    "blind",
    [
        alarm("Errors", 1, Dimensions=[{"Name": "FunctionName", "Value": "another"}]),
        alarm("IteratorAge", 1),
        alarm("Errors", 1, Namespace="Own"),
    ],
    ids=["another function", "another metric", "another namespace"],
)
def test_alarm_that_no_invocation_reaches_is_reported(blind: dict[str, Any]) -> None:
    # Given an alarm on something else, besides one that counts
    found = rollout(alarms={"Blind": blind, **ALARMS})

    assert [one.name for one, _ in found.blind] == ["Blind"]


def test_counted_faults_are_the_new_versions() -> None:
    found = rollout(alarms={**ALARMS, "Faults": faults_alarm()})

    assert {metric.name: scope for metric, scope in found.scopes.items()} == {
        "Errors": MetricScope.VERSION,
        "Duration": MetricScope.VERSION,
        "Invocations": MetricScope.VERSION,
        "Faults": MetricScope.VERSION,
    }
    assert not found.blind


@pytest.mark.parametrize("name", ["POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"])
def test_alarm_on_foreign_fault_metric_is_reported(name: str) -> None:
    # Given a function whose variables name its metric differently from the alarm
    stack = resources(alarms={"Faults": faults_alarm()})
    stack[FUNCTION]["Properties"] = {"Environment": {"Variables": {**_variables(stack), name: "other"}}}
    # When the group is read, then the alarm is blind on that metric, but not on the other
    ((blind, metrics),) = rollout_of(stack).blind
    assert (blind.name, [metric.name for metric in metrics]) == ("Faults", ["Faults"])


def _variables(stack: dict[str, Any]) -> dict[str, str]:
    variables: dict[str, str] = stack[FUNCTION]["Properties"]["Environment"]["Variables"]
    return variables


@pytest.mark.parametrize(
    "changes",
    [
        {"AlarmConfiguration": {"Enabled": False, "Alarms": [{"Name": {"Ref": "Errors0A1B2C3D"}}]}},
        {"AutoRollbackConfiguration": {"Enabled": False, "Events": ["DEPLOYMENT_STOP_ON_ALARM"]}},
        {"AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_FAILURE"]}},
    ],
    ids=["alarms are off", "rollback is off", "not on alarm"],
)
def test_group_without_rollback_alarms_has_none(changes: dict[str, Any]) -> None:
    stack = resources()
    stack[GROUP]["Properties"].update(changes)

    assert rollout_of(stack).alarms == ()


def test_custom_configuration_is_read_from_its_resource() -> None:
    # Given a canary of 5 % for one minute
    routing = {"Type": "TimeBasedCanary", "TimeBasedCanary": {"CanaryPercentage": 5, "CanaryInterval": 1}}
    own = {"Type": "AWS::CodeDeploy::DeploymentConfig", "Properties": {"TrafficRoutingConfig": routing}}

    found = rollout({"Ref": "Own0A1B2C3D"}, Own0A1B2C3D=own)

    assert (found.shift.name, found.shift.steps) == ("Canary5Percent1Minute", ((0, 0.05), (60, 1)))


def test_a_group_without_traffic_is_reported() -> None:
    stack = resources()
    del stack[ALIAS]["UpdatePolicy"]

    with pytest.raises(RehearsalError, match=f"{STACK}: the deployment group {GROUP} moves no alias"):
        rollout_of(stack)


def test_an_alarm_of_another_kind_is_reported() -> None:
    composite = {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "TRUE"}}

    with pytest.raises(
        RehearsalError, match=r"watches All \(AWS::CloudWatch::CompositeAlarm\), which is not simulated"
    ):
        rollout(alarms={"All": composite})


def test_a_missing_alarm_is_reported() -> None:
    stack = resources()
    del stack["Errors0A1B2C3D"]

    with pytest.raises(RehearsalError, match="refers to no resource of the stack"):
        rollout_of(stack)


def _with_id(identifier: str) -> list[dict[str, Any]]:
    """Return the faults metric under another id."""
    (query,) = (query for query in faults_alarm()["Properties"]["Metrics"] if query["Id"] == "faults")
    return [{**query, "Id": identifier}]


def test_the_same_alarms_have_the_same_signature() -> None:
    # Given two groups that differ only in alarm names, and one with a different threshold
    same = rollout(alarms=dict(zip(("One", "Two"), ALARMS.values(), strict=True)))
    other = rollout(alarms={**ALARMS, "Errors0A1B2C3D": alarm("Errors", 2)})

    assert rollout().signature == same.signature
    assert rollout().signature != other.signature


@pytest.mark.parametrize(
    "other",
    [
        faults_alarm(Threshold=2),
        faults_alarm(EvaluationPeriods=3),
        faults_alarm(Metrics=[{"Id": "e", "Expression": "FILL(m, 0)"}, *_with_id("m")]),
    ],
    ids=["threshold", "periods", "expression"],
)
def test_alarms_on_metric_math_are_compared_too(other: dict[str, Any]) -> None:
    # Given two functions with the same metric-math alarm under different names, and one with a different alarm
    one, same = (rollout(alarms={name: faults_alarm()}) for name in ("One", "Two"))

    assert one.signature == same.signature
    assert one.signature != rollout(alarms={"One": other}).signature


def test_templates_are_found_by_the_manifest(tmp_path: Path) -> None:
    stack = resources()
    folder = assembly(tmp_path, "prod-tiny", stack) / "assembly-Pipeline-prod-tiny"

    assert templates(folder) == {STACK: {"Resources": stack}}


def test_nested_stacks_are_included_in_templates(tmp_path: Path) -> None:
    # Given a stack whose only resource is a nested stack with all the others
    stack = resources()
    nested = {"Type": "AWS::CloudFormation::Stack", "Metadata": {"aws:asset:path": "Inner.nested.template.json"}}
    folder = assembly(tmp_path, "prod-tiny", {"Inner": nested}) / "assembly-Pipeline-prod-tiny"
    (folder / "Inner.nested.template.json").write_text(json.dumps({"Resources": stack}), encoding="utf-8")

    # When rollouts are read from it, then they equal those of the flat stack
    (outer,) = read(templates(folder), "prod", "tiny")
    (flat,) = read({STACK: {"Resources": stack}}, "prod", "tiny")
    assert outer.signature == flat.signature
    assert len(outer.alarms) == len(flat.alarms)


def _group(platform: str | None) -> dict[str, Any]:
    """Return a deployment group of an application of the given compute platform."""
    properties = {"ComputePlatform": platform} if platform else {}
    return {
        "OtherApplication": {"Type": "AWS::CodeDeploy::Application", "Properties": properties},
        "OtherGroup": {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {"ApplicationName": {"Ref": "OtherApplication"}, "ServiceRoleArn": "arn"},
        },
    }


@pytest.mark.parametrize("platform", ["ECS", "Server", None])
def test_groups_of_containers_and_servers_are_left_out(platform: str | None) -> None:
    stacks = {STACK: {"Resources": {**resources(), **_group(platform)}}}

    assert [one.function for one in read(stacks, "prod", "tiny")] == ["api"]
    assert groups_of_others(stacks) == [f"{STACK}: OtherGroup"]


def test_stages_of_any_assembly_are_read(tmp_path: Path) -> None:
    # Given an app with a stage whose stack has no explicit name, and a stack at the root
    root, stage = tmp_path / "cdk.out", tmp_path / "cdk.out" / "assembly-App-Prod"
    stage.mkdir(parents=True)
    for folder, name, content in ((stage, "AppProdCompute", resources()), (root, "Pipeline", _group("ECS"))):
        artifact = {"type": "aws:cloudformation:stack", "properties": {"templateFile": f"{name}.template.json"}}
        nested = {
            "type": "cdk:cloud-assembly",
            "properties": {"directoryName": stage.name, "displayName": "App/Prod"},
        }
        artifacts = {name: artifact} | ({"assembly-App-Prod": nested} if folder == root else {})
        (folder / f"{name}.template.json").write_text(json.dumps({"Resources": content}), encoding="utf-8")
        (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")

    findings, left_out = examine_assembly(root, Survey(runs=20), rate=5, faults=[FailureMode.failing(0.5)])

    assert [(finding.rollout.environment, finding.rollout.function) for finding in findings] == [("Prod", "api")]
    assert left_out == ["Pipeline: OtherGroup"]


def test_folder_that_is_not_an_assembly_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="is not a cloud assembly"):
        examine_assembly(tmp_path, Survey(), rate=1)
