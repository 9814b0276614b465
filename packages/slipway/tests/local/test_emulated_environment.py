"""A deployed local environment: permissions of its callers, and what an edit deploys."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sns as sns
from aws_cdk import aws_ssm as ssm
from botocore.exceptions import ClientError
from constructs import Construct

from slipway.emulator.deploy import Deployer
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import routes
from slipway.emulator.server import Credentials
from slipway.emulator.substitutions import SUBSTITUTIONS
from slipway.process import Progress
from slipway.testing.emulated import Request
from slipway.testing.functions import rest_event


@pytest.mark.requirement("outputs")
def test_every_service_has_the_outputs_that_callers_need(local: LocalEnvironment, outputs: Outputs) -> None:
    assert {"catalog", "intake", "studio", "sweep"} <= outputs.keys()
    for service in ("catalog", "intake", "studio"):
        # The address of a REST API or an HTTP API in the emulator
        assert outputs[service]["ApiEndpoint"].startswith(
            (f"{local.emulator.endpoint}/restapis/", f"{local.emulator.endpoint}/_aws/execute-api/")
        )


@pytest.mark.requirement("items: access")
def test_the_caller_may_invoke_the_signed_routes_and_nothing_else(
    local: LocalEnvironment, project: Path, caller: Credentials, signed: Request
) -> None:
    for route in (route for route in routes("catalog", services=project / "services") if route.signed):
        path = route.path.replace("{id}", "none")
        assert signed(route.method, path, service="catalog", json={}).status_code != 403
    with pytest.raises(ClientError, match="AccessDenied"):
        local.emulator.session(caller).client("dynamodb").list_tables()


@pytest.mark.requirement("items: access")
def test_an_unsigned_write_is_refused_at_the_gateway(unsigned: Request) -> None:
    response = unsigned("POST", "/items", service="catalog", json={"name": "kettle"})
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"


def test_only_the_environments_of_one_version_are_ended(local: LocalEnvironment) -> None:
    # Given a function with two versions that have answered
    functions = local.emulator.session().client("lambda")
    pages = functions.get_paginator("list_functions").paginate()
    names = [function["FunctionName"] for page in pages for function in page["Functions"]]
    (name,) = (each for each in names if each.startswith(f"{local.name}-catalog-compute-ApiFunction"))
    live = functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    health = rest_event("GET", "/health")
    for version in (live, "$LATEST"):
        answer = functions.invoke(FunctionName=name, Qualifier=version, Payload=json.dumps(health).encode())
        assert "FunctionError" not in answer
    # When the environments of one version are ended
    local.emulator.recycle(name, "$LATEST")
    # Then those of the other version still run
    assert not local.emulator.environments(f"{name}-", "$LATEST")
    assert local.emulator.environments(f"{name}-", live)


def test_credentials_are_for_their_owner(local: LocalEnvironment) -> None:
    assert (local.folder / "credentials.json").stat().st_mode & 0o077 == 0


def test_removed_resources_are_not_deployed(local: LocalEnvironment) -> None:
    formation = local.emulator.session().client("cloudformation")
    # The bootstrap stack's template is YAML, and not one of ours
    names = [
        stack["StackName"] for stack in formation.describe_stacks()["Stacks"] if stack["StackName"] != "CDKToolkit"
    ]
    assert names
    for name in names:
        for resource in formation.get_template(StackName=name)["TemplateBody"]["Resources"].values():
            assert not any(row.drops and row.applies(resource) for row in SUBSTITUTIONS), resource["Type"]


def test_deploying_again_changes_nothing(local: LocalEnvironment, outputs: Outputs) -> None:
    formation = local.emulator.session().client("cloudformation")

    def updates() -> dict[str, object]:
        stacks = formation.describe_stacks()["Stacks"]
        return {stack["StackName"]: stack.get("LastUpdatedTime", stack["CreationTime"]) for stack in stacks}

    before = updates()
    deployed = local.deploy((), _silent)
    assert updates() == before
    assert deployed.outputs == outputs


def test_the_emulator_reports_unknown_resource_types(local: LocalEnvironment) -> None:
    deployer = Deployer(local.emulator, qualifier=local.pipeline.qualifier, trust=local.pipeline.account)
    asked = ["AWS::S3::Bucket", "AWS::CodeDeploy::Application", "AWS::Made::Up", "AWS::Lambda::Function"]
    assert deployer.unknown_types(asked) == {"AWS::CodeDeploy::Application", "AWS::Made::Up"}
    assert deployer.unknown_types(asked[:1]) == set()


def test_a_changed_output_is_read_again(local: LocalEnvironment, tmp_path: Path) -> None:
    # Given a stack that stores the name of another stack's topic; a new name creates a new topic, while the reader's
    # template stays the same
    small = LocalEnvironment(local.environment, local.pipeline, folder=tmp_path / "dev", port=0, assembly=tmp_path)
    try:
        small.start()
        for name in ("first", "second"):
            # When both are deployed
            _synthesize(tmp_path, small, topic=name)
            small.deploy((), _silent)
            # Then the reader has the current name
            parameters = small.emulator.session().client("ssm")
            assert parameters.get_parameter(Name="reads")["Parameter"]["Value"] == name
    finally:
        small.stop()


def _silent(_: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda _: None)


def _synthesize(folder: Path, local: LocalEnvironment, *, topic: str) -> None:
    """Write an assembly with a foundation and one service, each with a stack that reads another's topic name."""
    app = cdk.App(outdir=str(folder), context={"@aws-cdk/core:defaultCrossStackReferences": "weak"})
    pipeline = Construct(app, "Pipeline")
    environment = cdk.Environment(account=local.environment.account, region=local.environment.region)
    for name in ("foundation", "catalog"):
        stage = cdk.Stage(pipeline, f"{local.name}-{name}", env=environment)
        prefix = f"{local.name}-{name}"
        producer = cdk.Stack(stage, "Producer", stack_name=f"{prefix}-producer")
        made = sns.Topic(producer, "Topic", topic_name=f"{name}-{topic}" if name == "foundation" else topic)
        reader = cdk.Stack(stage, "Reader", stack_name=f"{prefix}-reader")
        parameter = "reads" if name == "catalog" else "foundation-reads"
        ssm.StringParameter(reader, "Reads", parameter_name=parameter, string_value=made.topic_name)
    app.synth()
