"""What the change review needs from the pipeline: history, the last delivered revision, a place for its page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrastructure.pipelines import Pipeline, pipeline_of
from slipway.review.run import REPORT_BUCKET
from slipway.tasks.reports import BUCKET

pytestmark = pytest.mark.requirement("gates before any account")

WITH_HISTORY = ("committed", "codecommit")
CLONING = {"committed": "UseConnection", "codecommit": "codecommit:GitPull"}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _builds(pipeline: Pipeline) -> dict[str, str]:
    """Return the roles of all builds that take the source, by action name."""
    (source,) = pipeline.stages["Source"]
    (artifact,) = source["OutputArtifacts"]
    return {
        f"{stage}/{action['Name']}": pipeline.template.resources[action["Configuration"]["ProjectName"]["Ref"]][
            "Properties"
        ]["ServiceRole"]["Fn::GetAtt"][0]
        for stage, actions in pipeline.stages.items()
        for action in actions
        if artifact in action.get("InputArtifacts", [])
    }


def _synth(pipeline: Pipeline) -> str:
    return _builds(pipeline)["Build/Synth"]


@pytest.mark.parametrize("variant", WITH_HISTORY)
def test_builds_clone_the_repository_with_its_history(variant: str) -> None:
    (source,) = pipeline_of(variant).stages["Source"]

    assert source["Configuration"]["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF"


def test_an_s3_source_provides_files_without_history() -> None:
    # Given a source without history; `gates.review` tests how the review handles this
    (source,) = pipeline_of("s3").stages["Source"]

    assert "OutputArtifactFormat" not in source["Configuration"]


@pytest.mark.parametrize("variant", WITH_HISTORY)
def test_every_build_with_the_source_may_only_clone_it(variant: str) -> None:
    pipeline = pipeline_of(variant)
    builds = _builds(pipeline)
    assert builds
    for action, role in builds.items():
        cloning = [
            statement for statement in pipeline.statements(role) if CLONING[variant] in json.dumps(statement["Action"])
        ]
        # Then under both names of the service, and only for its repository
        assert len(cloning) == (2 if variant == "committed" else 1), action
        for statement in cloning:
            if variant == "codecommit":
                assert statement["Resource"] == "arn:aws:codecommit:us-east-1:101112131415:slipway"
                assert statement["Action"] == "codecommit:GitPull"
                continue
            name = statement["Action"]
            assert name in {"codeconnections:UseConnection", "codestar-connections:UseConnection"}
            key = f"{name.partition(':')[0]}:FullRepositoryId"
            assert statement["Condition"] == {"StringEquals": {key: "example-corp/lighthouse"}}


def test_only_builds_and_the_source_use_the_connection() -> None:
    # Given every policy of the pipeline's stack
    pipeline = pipeline_of("committed")
    (source,) = pipeline.stages["Source"]
    allowed = {*_builds(pipeline).values(), source["RoleArn"]["Fn::GetAtt"][0]}
    for policy in pipeline.template.properties_of("AWS::IAM::Policy"):
        if "UseConnection" in json.dumps(policy["PolicyDocument"]):
            assert {role["Ref"] for role in policy["Roles"]} <= allowed


@pytest.mark.parametrize("variant", ["committed", "codecommit", "s3"])
def test_synth_build_may_list_only_this_pipelines_executions(variant: str) -> None:
    pipeline = pipeline_of(variant)
    asking = [
        (role, statement)
        for role in {*_builds(pipeline).values()}
        for statement in pipeline.statements(role)
        if any(action.startswith("codepipeline:") for action in _listed(statement["Action"]))
    ]

    ((role, statement),) = asking
    assert role == _synth(pipeline)
    assert statement["Action"] == ["codepipeline:GetPipelineState", "codepipeline:ListPipelineExecutions"]
    assert pipeline.text(statement["Resource"]).endswith(":codepipeline:us-east-1:101112131415:slipway")


@pytest.mark.requirement("the approval")
def test_synth_build_may_store_its_reports() -> None:
    pipeline = pipeline_of("committed")
    name, _ = pipeline.artifacts()

    assert pipeline.project("Build")["Environment"]["EnvironmentVariables"] == [
        {"Name": BUCKET, "Type": "PLAINTEXT", "Value": {"Ref": name}}
    ]
    writes = [
        statement
        for statement in pipeline.statements(_synth(pipeline))
        if "s3:PutObject" in _listed(statement["Action"])
    ]
    (statement,) = writes
    assert {pipeline.text(resource) for resource in statement["Resource"]} == {
        pipeline.text({"Fn::GetAtt": [name, "Arn"]}),
        pipeline.text({"Fn::GetAtt": [name, "Arn"]}) + "/*",
    }


def test_only_the_synth_gets_the_bucket() -> None:
    pipeline = pipeline_of("committed")
    told = [
        project["Description"]
        for project in pipeline.template.properties_of("AWS::CodeBuild::Project")
        if BUCKET in json.dumps(project.get("Environment", {}))
    ]

    assert told == ["Pipeline step slipway-pipeline/Pipeline/Build/Synth"]


def test_review_and_pipeline_use_the_same_variable_name() -> None:
    # Given that gates import nothing from the pipeline
    assert REPORT_BUCKET == BUCKET
