"""Rules about CodeBuild projects and the stages that run them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from slipway.settings.model import ROLLBACK_DAYS
from unit.rules.aws.judging import broken

GOES_BACK = {"OnFailure": {"Result": "ROLLBACK"}}
BAKES = {"OnSuccess": {"Conditions": [{"Result": "ROLLBACK"}]}}


def _action(name: str, project: Any = "Small", order: int = 1, takes: str = "Handed", **other: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "RunOrder": order,
        "ActionTypeId": {"Provider": "CodeBuild"},
        "Configuration": {"ProjectName": {"Ref": project} if isinstance(project, str) else project},
        "InputArtifacts": [{"Name": takes}],
        **other,
    }


def _source(**configuration: str) -> dict[str, Any]:
    return {
        "Name": "Source",
        "ActionTypeId": {"Provider": "CodeStarSourceConnection"},
        "Configuration": configuration,
        "OutputArtifacts": [{"Name": "Source"}],
    }


def _project(size: str = "SMALL", **specification: Any) -> dict[str, Any]:
    environment = {
        "Type": "LINUX_CONTAINER",
        "ComputeType": f"BUILD_GENERAL1_{size}",
        "Image": "aws/codebuild/standard:8.0",
    }
    return {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {"Environment": environment, "Source": {"BuildSpec": json.dumps(specification)}},
    }


def _template(*actions: dict[str, Any], location: Any = None, **conditions: Any) -> dict[str, Any]:
    stages = [{"Name": "Source", "Actions": [_source(OutputArtifactFormat="CODEBUILD_CLONE_REF")]}]
    stages += [{"Name": "prod", "Actions": list(actions), **conditions}]
    store = {"Location": location or {"Ref": "Artifacts"}}
    return {
        "Pipeline": {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {"Stages": stages, "ArtifactStore": store},
        },
        "Small": _project(),
        "Medium": _project("MEDIUM"),
        "Large": _project("LARGE"),
    }


@pytest.mark.parametrize(
    ("actions", "found"),
    [
        ([_action("a"), _action("b", order=2)], []),
        ([_action("a"), _action("b", "Medium")], []),
        ([_action("a"), _action("b")], ["Pipeline"]),
        ([_action("a", "Large"), _action("b", "Large")], ["Pipeline"]),
        # An unreadable project is reported
        ([_action("a", "made-elsewhere")], ["Pipeline"]),
    ],
)
def test_builds_side_by_side_fit_the_quota(actions: list[dict[str, Any]], found: list[str]) -> None:
    assert broken("BuildsFitTheQuota", _template(*actions)) == found


def _artifacts(**rule: Any) -> dict[str, Any]:
    lifecycle = {"LifecycleConfiguration": {"Rules": [{"Status": "Enabled", **rule}]}}
    return {"Artifacts": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "artifacts", **lifecycle}}}


@pytest.mark.parametrize("conditions", [GOES_BACK, BAKES])
@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"ExpirationInDays": ROLLBACK_DAYS}, []),
        ({"ExpirationInDays": ROLLBACK_DAYS - 1}, ["Pipeline"]),
        ({"ExpirationInDays": 1, "Status": "Disabled"}, []),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 1}}, []),
        ({"ExpirationInDays": {"Ref": "Parameter"}}, ["Pipeline"]),
    ],
)
def test_artifacts_outlive_rollbacks(conditions: dict[str, Any], rule: dict[str, Any], found: list[str]) -> None:
    assert broken("ArtifactsOutliveRollbacks", _template(**conditions) | _artifacts(**rule)) == found


def test_artifacts_may_expire_where_nothing_rolls_back() -> None:
    assert broken("ArtifactsOutliveRollbacks", _template() | _artifacts(ExpirationInDays=1)) == []


def test_buckets_of_other_stacks_are_found_by_name() -> None:
    pipeline = _template(location="artifacts", **GOES_BACK)
    support = planted_stack(_artifacts(ExpirationInDays=ROLLBACK_DAYS), name="support")
    assert broken("ArtifactsOutliveRollbacks", pipeline, support) == []
    assert broken("ArtifactsOutliveRollbacks", pipeline) == ["Pipeline"]


PINNED: dict[str, Any] = {
    "phases": {"install": {"runtime-versions": {"python": "3.11"}}, "build": {"commands": ["make verify"]}}
}


@pytest.mark.parametrize(
    ("specification", "found"),
    [(PINNED, []), ({"phases": {"build": {"commands": ["make verify"]}}}, ["Project"]), ({}, ["Project"])],
)
def test_runtimes_are_pinned(specification: dict[str, Any], found: list[str]) -> None:
    assert broken("BuildRuntimesPinned", {"Project": _project(**specification)}) == found


def test_specifications_in_the_source_cannot_be_read() -> None:
    project = _project()
    project["Properties"]["Source"] = {"BuildSpec": "buildspec.yml"}
    assert broken("BuildRuntimesPinned", {"Project": project}) == ["Project"]


def test_custom_images_have_one_runtime() -> None:
    project = _project()
    project["Properties"]["Environment"]["Image"] = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/build:1"
    assert broken("BuildRuntimesPinned", {"Project": project}) == []


@pytest.mark.parametrize(
    "command", ["pip install x", "npm ci", "uv sync", "git fetch origin", "curl -O https://x", "make install"]
)
def test_builds_that_can_roll_back_fetch_nothing(command: str) -> None:
    fetching = {"Small": _project(phases={"build": {"commands": ["make verify", command]}})}
    working = {"Small": _project(**PINNED)}
    rule = "RollbackWaitsForNoRegistry"

    assert broken(rule, _template(_action("Verify"), **GOES_BACK) | fetching) == ["Pipeline"]
    assert broken(rule, _template(_action("Verify"), **GOES_BACK) | working) == []
    # Without rollbacks, a build may install packages
    assert broken(rule, _template(_action("Verify")) | fetching) == []


@pytest.mark.parametrize("action", [_action("Verify", takes="Source"), _action("Verify", "made-elsewhere")])
def test_builds_that_can_roll_back_clone_nothing(action: dict[str, Any]) -> None:
    template = _template(action, **BAKES) | {"Small": _project(**PINNED)}
    assert broken("RollbackWaitsForNoRegistry", template) == ["Pipeline"]


def _window(**configuration: str) -> dict[str, Any]:
    rule = {"RuleTypeId": {"Provider": "DeploymentWindow"}, "Configuration": configuration}
    return {"BeforeEntry": {"Conditions": [{"Result": "FAIL", "Rules": [rule]}]}}


@pytest.mark.parametrize(
    ("zone", "found"), [("Europe/Berlin", []), ("UTC+02:00", []), ("Etc/GMT+5", ["Pipeline"]), ("Mars/X", ["Pipeline"])]
)
def test_windows_are_in_known_time_zones(zone: str, found: list[str]) -> None:
    assert broken("WindowTimeZone", _template(**_window(TimeZone=zone))) == found


def test_windows_are_in_utc_by_default() -> None:
    assert broken("WindowTimeZone", _template(**_window(Cron="* * 8 ? * *"))) == []
