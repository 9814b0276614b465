"""Resources are removed from or replaced in a template, and each substitution is recorded."""

from __future__ import annotations

import string
from copy import deepcopy
from typing import Any

import pytest

from slipway.emulator.stages import substitute
from slipway.emulator.substitutions import SUBSTITUTIONS, TemplatePlace
from slipway.errors import RehearsalError

PLACE = TemplatePlace(plain_port=4567)

APPLICATION = {"Type": "AWS::CodeDeploy::Application", "Properties": {"ComputePlatform": "Lambda"}}
GROUP = {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {"ApplicationName": {"Ref": "App"}}}


def _template(resources: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"Resources": resources, **sections}


def _apply(resources: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return substitute(_template(resources, **sections), PLACE, stack="dev-items-compute")[0]


def test_an_alias_moves_without_codedeploy() -> None:
    # Given an alias that CodeDeploy moves, and that depends on the deployment group
    alias = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {"Name": "live"},
        "DependsOn": ["Group", "Function"],
        "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {"ApplicationName": {"Ref": "App"}}},
    }
    # When the substitutions are applied
    result = _apply({"App": APPLICATION, "Group": GROUP, "Alias": alias})
    # Then only the alias remains, without a dependency on removed resources
    assert result["Resources"] == {
        "Alias": {"Type": "AWS::Lambda::Alias", "Properties": {"Name": "live"}, "DependsOn": ["Function"]}
    }


def test_played_deployment_brings_its_metric_math_alarms() -> None:
    # Given a deployment group with a metric alarm, which the emulator hosts, and a metric-math alarm, which it refuses
    errors = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "Errors"}}
    faults = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"Metrics": [{"Id": "e", "Expression": "m"}]}}
    watched = {"Alarms": [{"Name": {"Ref": "Errors"}}, {"Name": {"Ref": "Faults"}}]}
    group = {**GROUP, "Properties": {**GROUP["Properties"], "AlarmConfiguration": watched}}  # type: ignore[dict-item]
    update = {"ApplicationName": {"Ref": "App"}, "DeploymentGroupName": {"Ref": "Group"}}
    alias = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {"Name": "live", "FunctionName": "f", "FunctionVersion": "7"},
        "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": update},
    }
    template = _template({"App": APPLICATION, "Errors": errors, "Faults": faults, "Group": group, "Alias": alias})
    # When the player replaces CodeDeploy
    result, _ = substitute(template, TemplatePlace(plain_port=4567, player="arn:player"), stack="prod-items-compute")
    # Then the deployment names both alarms, and defines the second under its name in the group
    assert set(result["Resources"]) == {"Errors", "Alias", "AliasDeployment"}
    asked = result["Resources"]["AliasDeployment"]["Properties"]
    name = {"Fn::Sub": "${AWS::StackName}-Faults"}
    assert asked["DeploymentGroup"]["AlarmConfiguration"]["Alarms"] == [{"Name": {"Ref": "Errors"}}, {"Name": name}]
    assert asked["Alarms"] == [{"Metrics": [{"Id": "e", "Expression": "m"}], "AlarmName": name}]


def test_the_synthesized_template_is_not_modified() -> None:
    template = _template({"App": APPLICATION, "Role": {"Type": "AWS::IAM::Role", "DependsOn": "App"}})
    before = deepcopy(template)
    substitute(template, PLACE, stack="dev-items-compute")
    assert template == before


def test_a_reference_to_a_removed_resource_becomes_its_name() -> None:
    name = {"Fn::Sub": "${AWS::StackName}-App"}
    policy = {"Type": "AWS::IAM::Policy", "Properties": {"Resource": [{"Ref": "App"}, {"Fn::Sub": "arn:x/${App}/*"}]}}
    result = _apply({"App": APPLICATION, "Policy": policy}, Outputs={"Name": {"Value": {"Ref": "App"}}})
    assert result["Resources"]["Policy"]["Properties"]["Resource"] == [
        name,
        {"Fn::Sub": ["arn:x/${AppStandIn}/*", {"AppStandIn": name}]},
    ]
    assert result["Outputs"]["Name"]["Value"] == name


@pytest.mark.parametrize(
    "reference", [{"Fn::GetAtt": ["App", "Id"]}, {"Fn::GetAtt": "App.Id"}, {"Fn::Sub": "${App.Id}"}]
)
def test_reference_without_a_substitute_stops_the_run(reference: dict[str, Any]) -> None:
    with pytest.raises(
        RehearsalError, match=r"dev-items-compute: Outputs\.It\.Value.* reads Id of App \(AWS::CodeDeploy"
    ):
        _apply({"App": APPLICATION}, Outputs={"It": {"Value": reference}})


def test_the_edge_uses_the_api_on_this_machine() -> None:
    domain = {"Fn::Join": ["", [{"Ref": "Api"}, ".execute-api.us-east-1.amazonaws.com"]]}
    origins = [
        {"Id": "api", "DomainName": domain, "OriginPath": "/live", "OriginCustomHeaders": [{"HeaderName": "X"}]},
        {"Id": "other", "DomainName": "example.com"},
    ]
    edge = {"Type": "AWS::CloudFront::Distribution", "Properties": {"DistributionConfig": {"Origins": origins}}}
    api, other = _apply({"Edge": edge})["Resources"]["Edge"]["Properties"]["DistributionConfig"]["Origins"]
    api_id = {"Fn::Select": [0, {"Fn::Split": [".", domain]}]}
    assert api == {
        "Id": "api",
        "DomainName": "localhost",
        "OriginPath": {"Fn::Join": ["", ["/restapis/", api_id, "/live", "/_user_request_"]]},
        "OriginCustomHeaders": [{"HeaderName": "X"}],
        "CustomOriginConfig": {"OriginProtocolPolicy": "http-only", "HTTPPort": 4567},
    }
    assert other == origins[1]


@pytest.mark.parametrize(
    ("principal", "named"),
    [({"AWS": "arn:aws:iam::1:root"}, True), ({"Service": "lambda.amazonaws.com"}, False), ("*", False)],
)
def test_a_role_that_accounts_may_assume_is_named(principal: Any, named: bool) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [statement]}}}
    _, used = substitute(_template({"Role": role}), PLACE, stack="dev-items-compute")
    assert ("AWS::IAM::Role trust of another account" in {row.subject for row in used}) == named


def test_a_secret_is_referred_to_by_its_arn() -> None:
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {}}
    result = _apply({"Secret": secret}, Outputs={"Arn": {"Value": {"Ref": "Secret"}}})
    assert result["Outputs"]["Arn"]["Value"] == {"Fn::GetAtt": ["Secret", "Id"]}
    assert result["Resources"]["Secret"] == secret


def test_excluded_punctuation_is_listed() -> None:
    generate = {"ExcludePunctuation": True, "ExcludeCharacters": "lI"}
    secret = {"Type": "AWS::SecretsManager::Secret", "Properties": {"GenerateSecretString": generate}}
    result = _apply({"Secret": secret})["Resources"]["Secret"]["Properties"]["GenerateSecretString"]
    assert set(result["ExcludeCharacters"]) == {*string.punctuation, "l", "I"}


def test_mappings_are_not_changed() -> None:
    properties = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 100, "MaximumBatchingWindowInSeconds": 5}
    stream = {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties}
    assert _apply({"Stream": deepcopy(stream)})["Resources"] == {"Stream": stream}


def test_each_row_describes_itself_and_what_stays_unproven() -> None:
    subjects = [row.subject for row in SUBSTITUTIONS]
    assert len(set(subjects)) == len(subjects)
    for row in SUBSTITUTIONS:
        assert row.subject.startswith("AWS::")
        assert row.stand_in
        assert row.unproven
        # Almost every resource type is referred to by Ref
        assert not row.drops or "Ref" in row.references, row.subject


def test_used_rows_are_counted() -> None:
    resources = {"App": APPLICATION, "Group": GROUP, "Topic": {"Type": "AWS::SNS::Topic"}}
    _, used = substitute(_template(resources), PLACE, stack="dev-items-compute")
    assert {row.subject: times for row, times in used.items()} == {"AWS::CodeDeploy::*": 2}


def test_trust_requires_no_key_that_the_emulator_lacks() -> None:
    # Given the trust policy of a pipeline action's role, as CDK writes it, with a second condition
    condition = {
        "Bool": {"aws:ViaAWSService": "codepipeline.amazonaws.com"},
        "StringEquals": {"sts:ExternalId": "x"},
    }
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": "arn:root"},
        "Condition": condition,
    }
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {"Statement": [statement]}}}

    changed, used = substitute({"Resources": {"Role": role}}, PLACE, stack="app")

    (left,) = changed["Resources"]["Role"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert left["Condition"] == {"StringEquals": {"sts:ExternalId": "x"}}
    assert "AWS::IAM::Role trust, aws:ViaAWSService" in {row.subject for row in used}


def test_emptied_stack_still_has_a_resource() -> None:
    # Given a stack whose resources are all removed
    # When the substitutions are applied
    result = _apply({"App": APPLICATION, "Group": GROUP})
    # Then one resource is left for CloudFormation to create
    assert [each["Type"] for each in result["Resources"].values()] == ["AWS::CloudFormation::WaitConditionHandle"]
