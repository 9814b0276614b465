"""The pipeline's definition is read completely, and anything that the player does not support is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import RehearsalError
from slipway.rehearsal.player.definition import PipelineDefinition, StageDefinition
from unit.rehearsal.aws import DEV
from unit.rehearsal.player.pipelines import (
    BUCKET,
    PIPELINE_ROLE,
    Properties,
    action,
    approval,
    build,
    conditions,
    deploy,
    deploy_role,
    pipeline,
    prepare,
    retry,
    rule,
    stage,
)


def _read(*stages: Properties, **more: Any) -> PipelineDefinition:
    return PipelineDefinition.read(pipeline(*stages, **more), 3)


def _stage(properties: Properties) -> StageDefinition:
    return _read(properties).stages[1]


def _names(read: StageDefinition) -> list[list[str]]:
    return [[each.name for each in group] for group in read.groups()]


def test_a_pipeline_is_read() -> None:
    read = _read(stage("Build", build()), stage("dev", deploy("dev-items")))
    assert (read.name, read.version, read.role_arn, read.bucket_in("any")) == ("slipway", 3, PIPELINE_ROLE, BUCKET)
    assert [each.name for each in read.stages] == ["Source", "Build", "dev"]
    assert read.frozen == {}


def test_a_pipeline_of_many_regions_has_a_bucket_in_each() -> None:
    # Given a pipeline that also deploys to another region
    stores = [
        {"Region": region, "ArtifactStore": {"Type": "S3", "Location": f"artifacts-{region}"}}
        for region in ("us-east-1", "eu-west-1")
    ]
    properties = pipeline(stage("prod", {**deploy("prod-items"), "Region": "eu-west-1"}), ArtifactStores=stores)
    del properties["ArtifactStore"]
    # When it is read
    read = PipelineDefinition.read(properties, 1)
    # Then each region has its own bucket, and a region without one is refused
    assert [read.bucket_in(region) for region in ("us-east-1", "eu-west-1")] == [
        "artifacts-us-east-1",
        "artifacts-eu-west-1",
    ]
    assert read.stages[1].actions[0].region == "eu-west-1"
    with pytest.raises(RehearsalError, match="no artifact store in eu-north-1, only in us-east-1, eu-west-1"):
        read.bucket_in("eu-north-1")


@pytest.mark.parametrize("mode", [{"ExecutionMode": "QUEUED"}, {"ExecutionMode": "SUPERSEDED"}, {}])
def test_cdk_defaults_are_read(mode: Properties) -> None:
    properties = pipeline(stage("Source", action("app", "Source/GitHub")), **mode)
    if not mode:
        del properties["ExecutionMode"]

    assert PipelineDefinition.read(properties, 1).stages[1].actions[0].provider == "GitHub"


@pytest.mark.parametrize(("value", "restarts"), [("true", True), (True, True), ("false", False), (None, False)])
def test_restart_on_update_may_be_a_string(value: object, *, restarts: bool) -> None:
    assert _read(RestartExecutionOnUpdate=value).restart_on_update is restarts


def test_an_action_is_read() -> None:
    # Given an action with every property, with numbers as strings, as CloudFormation passes them
    properties = build(
        "Synth",
        OutputArtifacts=[{"Name": "Assembly"}, {"Name": "Reports"}],
        InputArtifacts=[{"Name": "Sources"}, {"Name": "More"}],
        Namespace="Build@Synth",
        RoleArn=deploy_role(),
        TimeoutInMinutes="90",
        Configuration={"ProjectName": "Synth", "DetectChanges": False, "List": ["a"]},
    )
    properties["RunOrder"] = "4"
    # When it is read
    (read,) = _stage(stage("Build", properties)).actions
    # Then all of them are read, with AWS's types
    assert (read.category, read.provider, read.run_order, read.timeout_minutes) == ("Build", "CodeBuild", 4, 90)
    assert (list(read.inputs), list(read.outputs)) == (["Sources", "More"], ["Assembly", "Reports"])
    assert (read.namespace, read.role_arn, read.account) == ("Build@Synth", deploy_role(), DEV)
    assert read.configuration == {"ProjectName": "Synth", "DetectChanges": "false", "List": '["a"]'}


def test_an_action_without_a_role_works_in_the_pipelines_account() -> None:
    (read,) = _stage(stage("prod-approval", approval())).actions
    assert read.account is None
    assert read.timeout_minutes is None
    assert read.run_order == 1


def test_actions_run_in_groups_by_their_order() -> None:
    # Given a stage whose actions are not listed in run order
    actions = (action("c", order=10), action("a", order=2), action("b", order=10), action("first", order=1))
    # When they are grouped
    # Then actions with the same order form a group in their listed order, and orders compare as numbers
    assert _names(_stage(stage("dev", *actions))) == [["first"], ["a"], ["c", "b"]]


@settings(deadline=None)
@given(st.lists(st.integers(min_value=1, max_value=5), min_size=1, max_size=12))
def test_groups_hold_each_action_once_and_orders_rise(orders: list[int]) -> None:
    read = _stage(stage("dev", *(action(str(place), order=order) for place, order in enumerate(orders))))
    groups = list(read.groups())
    assert sorted(each.name for group in groups for each in group) == sorted(str(place) for place in range(len(orders)))
    assert [group[0].run_order for group in groups] == sorted(set(orders))
    assert all(each.run_order == group[0].run_order for group in groups for each in group)


def test_conditions_are_read() -> None:
    window = rule("Office", "DeploymentWindow", Cron="* * 8-16 ? * MON-FRI", TimeZone="America/New_York")
    bake = rule("Bake", "CloudWatchAlarm", AlarmName="bake", WaitTime="10")
    read = _stage(
        stage(
            "prod",
            deploy("prod-items"),
            BeforeEntry=conditions("FAIL", window),
            OnSuccess=conditions("ROLLBACK", bake),
            OnFailure=retry("FAILED_ACTIONS"),
        )
    )
    (entry,), (success,) = read.before_entry, read.on_success
    assert (entry.result, entry.rules[0].name, entry.rules[0].provider) == ("FAIL", "Office", "DeploymentWindow")
    assert entry.rules[0].configuration == {"Cron": "* * 8-16 ? * MON-FRI", "TimeZone": "America/New_York"}
    assert (success.result, [each.name for each in success.rules]) == ("ROLLBACK", ["Bake"])
    assert (read.on_failure, read.retry_mode) == ("RETRY", "FAILED_ACTIONS")


def test_a_stage_without_conditions_has_none() -> None:
    read = _stage(stage("dev", deploy("dev-items")))
    assert (read.before_entry, read.on_success, read.on_failure, read.retry_mode) == ((), (), None, None)


def test_a_disabled_transition_is_read_with_its_reason() -> None:
    read = _read(DisableInboundStageTransitions=[{"StageName": "prod", "Reason": "freeze"}, {"StageName": "dev"}])
    assert read.frozen == {"prod": "freeze", "dev": ""}


VARIABLES = {"Source@repository": {"CommitId": "c0ffee", "Message": "Add #{x.y}"}, "Build@Synth": {"URL": "https://b"}}


@pytest.mark.parametrize(
    ("text", "resolved"),
    [
        ("#{Source@repository.CommitId}", "c0ffee"),
        ("Deploy #{Source@repository.CommitId} of #{Build@Synth.URL}?", "Deploy c0ffee of https://b?"),
        ("#{Source@repository.Message}", "Add #{x.y}"),
        ("# {Source@repository.CommitId} #{} {a.b}", "# {Source@repository.CommitId} #{} {a.b}"),
    ],
)
def test_references_are_filled_in_once(text: str, resolved: str) -> None:
    (read,) = _stage(stage("prod-approval", approval(Configuration={"CustomData": text}))).actions
    assert read.resolved(VARIABLES) == {"CustomData": resolved}


@pytest.mark.parametrize("reference", ["#{Source@repository.Nothing}", "#{Nowhere.CommitId}"])
def test_a_reference_to_nothing_is_named(reference: str) -> None:
    (read,) = _stage(stage("prod-approval", approval(Configuration={"CustomData": f"see {reference}"}))).actions
    with pytest.raises(RehearsalError) as error:
        read.resolved(VARIABLES)
    assert str(error.value) == f"Approve: unknown variable {reference}"


def _with(**more: Any) -> Callable[[], Properties]:
    return lambda: pipeline(stage("dev", deploy("dev-items")), **more)


def _stage_with(**more: Any) -> Callable[[], Properties]:
    return lambda: pipeline(stage("dev", deploy("dev-items"), **more))


def _action_with(**more: Any) -> Callable[[], Properties]:
    return lambda: pipeline(stage("dev", build(**more)))


OFFICE = rule("Office", "DeploymentWindow", Cron="* * 8-16 ? * MON-FRI")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (_with(ExecutionMode="PARALLEL"), "the player does not support ExecutionMode PARALLEL"),
        (_with(Variables=[], Surprise=1), "the player does not support Surprise, Variables in the pipeline"),
        (_stage_with(Blockers=[]), "the player does not support Blockers in stage dev"),
        (
            _stage_with(OnFailure={"Result": "ROLLBACK", "Conditions": []}),
            "the player does not support Conditions in OnFailure of stage dev",
        ),
        (
            _stage_with(OnFailure={"Result": "SKIP"}),
            "the player does not support the result SKIP of OnFailure of stage dev",
        ),
        (
            _stage_with(OnFailure=retry("SOME_ACTIONS")),
            "the player does not support the retry mode SOME_ACTIONS of stage dev",
        ),
        (
            _stage_with(BeforeEntry={"Conditions": [], "Else": 1}),
            "the player does not support Else in BeforeEntry of stage dev",
        ),
        (
            _stage_with(OnSuccess={"Conditions": [{"Result": "FAIL", "Rules": [], "When": 1}]}),
            "the player does not support When in a condition of stage dev",
        ),
        (
            _stage_with(BeforeEntry=conditions("SKIP", OFFICE)),
            "the player does not support the result SKIP of BeforeEntry of stage dev",
        ),
        (
            _stage_with(BeforeEntry=conditions("ROLLBACK", OFFICE)),
            "the player does not support the result ROLLBACK of BeforeEntry of stage dev",
        ),
        (
            _stage_with(BeforeEntry=conditions("FAIL", rule("Check", "LambdaInvoke"))),
            "the player does not support the rule LambdaInvoke (Check of stage dev)",
        ),
        (
            _stage_with(BeforeEntry=conditions("FAIL", {**OFFICE, "Region": "eu-central-1"})),
            "the player does not support Region in rule Office of stage dev",
        ),
        (_action_with(Commands=["ls"]), "the player does not support Commands in dev/Synth"),
        (
            lambda: pipeline(stage("dev", action("Call", "Invoke/Lambda"))),
            "the player does not support the action Invoke/Lambda (dev/Call)",
        ),
        (
            lambda: pipeline(stage("dev", action("Deploy", "Deploy/S3"))),
            "the player does not support the action Deploy/S3 (dev/Deploy)",
        ),
        (
            lambda: pipeline(stage("dev", action("Take", "Source/ECR"))),
            "the player does not support the action Source/ECR (dev/Take)",
        ),
    ],
)
def test_unsupported_definition_is_refused_with_its_reason(properties: Callable[[], Properties], message: str) -> None:
    with pytest.raises(RehearsalError) as error:
        PipelineDefinition.read(properties(), 1)
    assert str(error.value) == message


def test_a_pipeline_without_a_store_is_refused() -> None:
    properties = pipeline(stage("dev", prepare("dev-items")))
    del properties["ArtifactStore"]
    with pytest.raises(RehearsalError, match="the pipeline has neither ArtifactStore nor ArtifactStores"):
        PipelineDefinition.read(properties, 1)


@pytest.mark.parametrize("missing", ["Name", "RoleArn", "Stages"])
def test_missing_property_is_named(missing: str) -> None:
    properties = pipeline(stage("dev", prepare("dev-items")))
    del properties[missing]
    with pytest.raises(RehearsalError, match=f"the pipeline has no {missing}"):
        PipelineDefinition.read(properties, 1)
