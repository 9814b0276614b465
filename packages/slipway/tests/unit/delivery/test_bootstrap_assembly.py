"""Resources, their regions and the roles passed to them are read from an assembly before policies are evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.accounts.bootstrap.assembly import UNREADABLE_ROLE, places, resources
from slipway.accounts.bootstrap.plan import Account, BootstrapPlace

OWN, OTHER = "444455556666", "777788889999"
ACCOUNT = Account(OWN, "aws", ("eu-west-1", "us-east-1"), ("blue",), tools=False)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes an assembly; each stack has an account, a region and a template."""

    def written(**stacks: tuple[str, str, dict[str, Any]]) -> Path:
        artifacts = {}
        for name, (account, region, template) in stacks.items():
            (tmp_path / f"{name}.template.json").write_text(json.dumps(template), encoding="utf-8")
            artifacts[name] = {
                "type": "aws:cloudformation:stack",
                "environment": f"aws://{account}/{region}",
                "properties": {"stackName": name.replace("_", "-"), "templateFile": f"{name}.template.json"},
            }
        (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")
        return tmp_path

    return written


ROLE = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "blue-worker"}}


def _passed(write: Write, type_name: str, properties: dict[str, Any], **others: Any) -> tuple[str, ...]:
    template = {"Resources": {"Role": ROLE, "It": {"Type": type_name, "Properties": properties}}}
    found = resources(write(blue_x=(OWN, "eu-west-1", template), **others), ACCOUNT)
    return next(each.passed for each in found if each.logical_id == "It")


def test_resources_are_in_the_region_of_their_stack(write: Write) -> None:
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    assembly = write(a=(OWN, "eu-west-1", template), b=(OWN, "us-east-1", template), c=(OTHER, "eu-west-1", template))
    assert [(each.stack, each.region) for each in resources(assembly, ACCOUNT)] == [
        ("a", "eu-west-1"),
        ("b", "us-east-1"),
    ]
    assert places(assembly) == {
        BootstrapPlace(OWN, "eu-west-1"),
        BootstrapPlace(OWN, "us-east-1"),
        BootstrapPlace(OTHER, "eu-west-1"),
    }


ARN = {"Fn::GetAtt": ["Role", "Arn"]}


@pytest.mark.parametrize(
    ("type_name", "properties"),
    [
        ("AWS::Lambda::Function", {"Role": ARN}),
        ("AWS::CodeBuild::Project", {"ServiceRole": ARN}),
        ("AWS::CodeDeploy::DeploymentGroup", {"ServiceRoleArn": ARN}),
        ("AWS::ApplicationAutoScaling::ScalableTarget", {"RoleARN": ARN}),
        ("AWS::Events::Rule", {"Targets": [{"Id": "a", "RoleArn": ARN}]}),
        ("AWS::ApiGateway::Method", {"Integration": {"Credentials": ARN}}),
        ("AWS::ApiGatewayV2::Integration", {"CredentialsArn": ARN}),
        ("AWS::Backup::BackupSelection", {"BackupSelection": {"IamRoleArn": ARN}}),
        ("AWS::Cognito::UserPool", {"SmsConfiguration": {"SnsCallerArn": ARN}}),
        ("AWS::SNS::Topic", {"DeliveryStatusLogging": [{"SuccessFeedbackRoleArn": ARN}]}),
    ],
)
def test_roles_are_passed_under_any_name(write: Write, type_name: str, properties: dict[str, Any]) -> None:
    assert _passed(write, type_name, properties) == (f"arn:aws:iam::{OWN}:role/blue-worker",)


@pytest.mark.parametrize(
    ("type_name", "properties"),
    [
        ("AWS::IAM::ManagedPolicy", {"Roles": [{"Ref": "Role"}]}),
        ("AWS::KMS::Key", {"KeyPolicy": {"Statement": {"Principal": {"AWS": ARN}}}}),
        ("AWS::Lambda::Function", {"Role": f"arn:aws:iam::{OTHER}:role/theirs"}),
        ("AWS::Lambda::Function", {"Environment": {"Variables": {"TABLE": "x"}}}),
        ("AWS::CodeBuild::Project", {"Environment": {"ImagePullCredentialsType": "CODEBUILD"}}),
        ("AWS::CodePipeline::Pipeline", {"Stages": [{"Actions": [{"Configuration": {"RoleArn": ARN}}]}]}),
        ("AWS::Events::Rule", {"RoleArn": {"Ref": "AWS::NoValue"}}),
    ],
)
def test_other_mentions_pass_nothing(write: Write, type_name: str, properties: dict[str, Any]) -> None:
    assert _passed(write, type_name, properties) == ()


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::GetAtt": ["It", "Arn"]},
        {"Ref": "Parameter"},
        {"Fn::ImportValue": "role"},
        {"Fn::GetStackOutput": {"StackName": "elsewhere", "OutputName": "Role"}},
        {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/${Name}"},
        "blue-worker",
    ],
)
def test_roles_that_cannot_be_read_are_reported(write: Write, value: Any) -> None:
    assert _passed(write, "AWS::Lambda::Function", {"Role": value}) == (UNREADABLE_ROLE,)


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/mine"},
        {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::", {"Ref": "AWS::AccountId"}, ":role/mine"]]},
        {"Fn::GetStackOutput": {"StackName": "blue-y", "OutputName": "Role"}},
    ],
)
def test_functions_and_outputs_are_followed(write: Write, value: Any) -> None:
    mine = {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "mine"}}
    output = {"Role": {"Value": {"Fn::GetAtt": ["Mine", "Arn"]}}}
    other = (OWN, "eu-west-1", {"Resources": {"Mine": mine}, "Outputs": output})
    assert _passed(write, "AWS::Lambda::Function", {"Role": value}, blue_y=other) == (f"arn:aws:iam::{OWN}:role/mine",)


def test_resources_of_nested_stacks_are_read_too(write: Write) -> None:
    # Given a nested stack with a queue, whose template is in its parent's assembly
    nested = {
        "Type": "AWS::CloudFormation::Stack",
        "Properties": {"TemplateURL": "https://a"},
        "Metadata": {"aws:asset:path": "Inner.nested.template.json"},
    }
    assembly = write(a=(OWN, "eu-west-1", {"Resources": {"Inner": nested}}))
    inner = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}
    (assembly / "Inner.nested.template.json").write_text(json.dumps(inner), encoding="utf-8")

    # Then both the queue and the nested stack need permissions
    assert {each.type_name for each in resources(assembly, ACCOUNT)} == {
        "AWS::SQS::Queue",
        "AWS::CloudFormation::Stack",
    }
