"""What the doctor reports about the pipeline's builds and about rolling back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

import specimen
from slipway.accounts.bootstrap import plan
from slipway.accounts.doctor.builds import check_builds, check_rollbacks
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.settings.quotas import CONCURRENT_BUILDS, MEDIUM, SMALL, ComputeType

SETTINGS = specimen.SETTINGS
TOOLS = plan.accounts(SETTINGS)[0]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _project(compute_type: ComputeType) -> dict[str, Any]:
    environment = {"Type": compute_type.environment, "ComputeType": compute_type.size}
    return {"Type": "AWS::CodeBuild::Project", "Properties": {"Environment": environment}}


def _stage(name: str, project: str, **conditions: Any) -> dict[str, Any]:
    build = {
        "Name": "Build",
        "ActionTypeId": {"Provider": "CodeBuild"},
        "Configuration": {"ProjectName": {"Ref": project}},
    }
    return {"Name": name, "Actions": [build], **conditions}


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    """Write a pipeline with one large build, and a small one in each of two environments that roll back."""
    baked = {"OnSuccess": {"Conditions": [{"Result": "ROLLBACK"}]}}
    stages = [
        _stage("Build", "Medium"),
        _stage("blue", "Small", OnFailure={"Result": "ROLLBACK"}),
        _stage("green", "Small", **baked),
    ]
    pipeline = {"Type": "AWS::CodePipeline::Pipeline", "Properties": {"Name": "delivery", "Stages": stages}}
    template = {"Resources": {"Pipeline": pipeline, "Small": _project(SMALL), "Medium": _project(MEDIUM)}}
    (tmp_path / "Pipeline.template.json").write_text(json.dumps(template), encoding="utf-8")
    stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "Pipeline.template.json"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"Pipeline": stack}}), encoding="utf-8")
    return tmp_path


class Answering:
    """A session whose only client answers expected calls in order."""

    def __init__(self, *answers: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
        self._answers = answers

    def client(self, service: str, region_name: str) -> Any:
        client = boto3.client(  # type: ignore[call-overload]
            service, region_name=region_name, aws_access_key_id="x", aws_secret_access_key="x"
        )
        stubber = Stubber(client)
        for method, answer, expected in self._answers:
            stubber.add_response(method, answer, expected)
        stubber.activate()
        return client


def _builds(assembly: Path, medium: float, small: float) -> list[CheckResult]:
    session: Any = Answering(
        *(
            (
                "get_service_quota",
                {"Quota": {"Value": value}},
                {"ServiceCode": "codebuild", "QuotaCode": CONCURRENT_BUILDS[compute_type].code},
            )
            for compute_type, value in ((MEDIUM, medium), (SMALL, small))
        )
    )
    return list(check_builds(TOOLS, SETTINGS, session, assembly))


@pytest.mark.parametrize(
    ("medium", "small", "statuses"),
    [
        (1.0, 2.0, [CheckStatus.OK, CheckStatus.OK]),
        (1.0, 1.0, [CheckStatus.OK, CheckStatus.WARNING]),
        (0.0, 0.0, [CheckStatus.WRONG, CheckStatus.WRONG]),
    ],
)
def test_quotas_are_compared_with_the_builds(
    assembly: Path, medium: float, small: float, statuses: list[CheckStatus]
) -> None:
    found = _builds(assembly, medium, small)
    assert [each.status for each in found] == statuses
    for each in found:
        assert (each.status is CheckStatus.OK) or CONCURRENT_BUILDS[SMALL].code in each.fix or "L-2DC20C30" in each.fix


def test_builds_are_not_checked_before_the_synthesis(tmp_path: Path) -> None:
    session: Any = Answering()
    (builds,) = check_builds(TOOLS, SETTINGS, session, tmp_path)
    (rollbacks,) = check_rollbacks(TOOLS, SETTINGS, session, tmp_path)
    assert builds.status is rollbacks.status is CheckStatus.UNCHECKED


def _last(stage: str, *ages: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    summaries = [{"startTime": NOW - timedelta(days=age)} for age in ages]
    expected = {"pipelineName": "delivery", "maxResults": 1, "filter": {"succeededInStage": {"stageName": stage}}}
    return "list_pipeline_executions", {"pipelineExecutionSummaries": summaries}, expected


@pytest.mark.parametrize(
    ("left", "status"),
    [(100, CheckStatus.OK), (29, CheckStatus.WARNING), (0, CheckStatus.WRONG), (-10, CheckStatus.WRONG)],
)
def test_expiring_artifacts_are_reported(assembly: Path, left: int, status: CheckStatus) -> None:
    age = SETTINGS.pipeline.artifact_days - left
    session: Any = Answering(_last("blue", age), _last("green"))
    blue, green = check_rollbacks(TOOLS, SETTINGS, session, assembly, now=NOW)
    assert (blue.check, blue.status) == ("rollback of blue", status)
    assert (green.check, green.status) == ("rollback of green", CheckStatus.OK)
