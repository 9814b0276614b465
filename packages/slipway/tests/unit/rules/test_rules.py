"""This project's rules: a planted case turns each red, and its fix turns it green."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from slipway.delivery.names import PROTECTED_STACKS
from slipway.nag.names import OWN_PACK
from slipway.rules import permissions, stateful
from slipway.rules.model import data
from slipway.rules.pack import RULES, SlipwayRules
from slipway.rules.planted import planted
from slipway.settings.protection import PROTECTED_TYPES
from unit.rules.templates import COMPUTE, DATA, PIPELINE, SETTINGS, Body, changed, found, stack

DEV = "Pipeline/dev-items/Data"


def test_every_rule_sees_its_planted_fault_at_every_run() -> None:
    # Given the planted stack with which the pack tests itself first
    pack = SlipwayRules(SETTINGS, Path())

    assert pack.name == OWN_PACK
    assert list(pack.blind()) == []
    assert all(list(rule.check(planted(SETTINGS))) for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)


# --- Protection of data ---


def _table(**properties: Any) -> Body:
    return {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"DeletionProtectionEnabled": True, **properties},
        }
    }


@pytest.mark.requirement("the table", "no accidental loss of stateful resources")
@pytest.mark.parametrize("policy", ["DeletionPolicy", "UpdateReplacePolicy"])
@pytest.mark.parametrize("value", ["Delete", None])
def test_stateful_resources_are_retained(policy: str, value: str | None) -> None:
    broken = changed(_table(), f"Table.{policy}", value)

    assert found("StatefulRetained", stack(DATA, broken)) == [(DATA, "Table", None)]
    assert found("StatefulRetained", stack(DATA, _table())) == []


def test_only_keys_are_retained_if_data_may_be_deleted() -> None:
    # Given dev, whose removal policy is `destroy`
    broken = changed(_table(), "Table.DeletionPolicy", "Delete")
    key = {"Key": {"Type": "AWS::KMS::Key", "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}}

    assert found("StatefulRetained", stack(DEV, broken)) == []
    assert found("StatefulRetained", stack(DEV, key)) == [(DEV, "Key", None)]


@pytest.mark.requirement("the table")
@pytest.mark.parametrize(
    ("type_name", "broken", "fixed"),
    [
        ("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": False}, {"DeletionProtectionEnabled": True}),
        ("AWS::DynamoDB::Table", {}, {"DeletionProtectionEnabled": True}),
        ("AWS::Cognito::UserPool", {"DeletionProtection": "INACTIVE"}, {"DeletionProtection": "ACTIVE"}),
        ("AWS::RDS::DBCluster", {}, {"DeletionProtection": True}),
    ],
)
def test_deletion_protection_is_required(type_name: str, broken: Any, fixed: Any) -> None:
    def body(properties: Any) -> Body:
        return {"Thing": {"Type": type_name, "Properties": properties}}

    assert found("StatefulProtected", stack(DATA, body(broken))) == [(DATA, "Thing", None)]
    assert found("StatefulProtected", stack(DATA, body(fixed))) == []
    # Without protection in the configuration, none is required
    assert found("StatefulProtected", stack(DEV, body(broken))) == []


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_stateful_resources_have_separate_stacks() -> None:
    assert found("StatefulApart", stack(COMPUTE, _table())) == [(COMPUTE, "Table", None)]
    assert found("StatefulApart", stack(DATA, _table())) == []
    # The pipeline has one stack for everything
    assert found("StatefulApart", stack(PIPELINE, _table())) == []


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_a_stateful_stack_cannot_be_deleted() -> None:
    open_to_deletion = stack(DATA, _table(), termination_protection=False)

    assert found("StatefulStackProtected", open_to_deletion) == [(DATA, None, None)]
    assert found("StatefulStackProtected", stack(DATA, _table())) == []
    assert found("StatefulStackProtected", stack(COMPUTE, {}, termination_protection=False)) == []
    assert found("StatefulStackProtected", stack(DEV, _table(), termination_protection=False)) == []


def test_stateful_types_match_cfn_lints() -> None:
    theirs = json.loads(
        files("cfnlint").joinpath("data/AdditionalSpecs/StatefulResources.json").read_text(encoding="utf-8")
    )["ResourceTypes"]
    left_out = data("stateful.json")["not"]

    assert {*stateful.TYPES, *left_out} == set(theirs)
    assert not stateful.TYPES & set(left_out)
    assert set(data("stateful.json")["deletion_protection"]) <= stateful.TYPES


def test_types_protected_from_updates_are_stateful() -> None:
    assert set(PROTECTED_TYPES) <= stateful.TYPES
    assert {name.lower() for name in stateful.STATEFUL_STACKS} == set(PROTECTED_STACKS)


# --- Aliases with traffic ---

GUARDED: Body = {
    "Live": {
        "Type": "AWS::Lambda::Alias",
        "UpdatePolicy": {"CodeDeployLambdaAliasUpdate": {"DeploymentGroupName": {"Ref": "Group"}}},
        "Properties": {"Name": "live", "FunctionName": {"Ref": "Function"}},
    },
    "Function": {"Type": "AWS::Lambda::Function", "Properties": {}},
    "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
    "Group": {
        "Type": "AWS::CodeDeploy::DeploymentGroup",
        "Properties": {
            "AlarmConfiguration": {"Enabled": True, "Alarms": [{"Name": {"Ref": "Errors"}}]},
            "AutoRollbackConfiguration": {"Enabled": True, "Events": ["DEPLOYMENT_STOP_ON_ALARM"]},
        },
    },
    "Errors": {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {"Namespace": "AWS/Lambda", "MetricName": "Errors"},
    },
}
LIVE = {"Ref": "Live"}
SENDERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "a REST API": ("AWS::ApiGateway::Method", {"Integration": {"Uri": {"Fn::Join": ["", ["arn:", LIVE, "/x"]]}}}),
    "an HTTP API": ("AWS::ApiGatewayV2::Integration", {"IntegrationUri": LIVE}),
    "an authorizer": ("AWS::ApiGateway::Authorizer", {"AuthorizerUri": {"Fn::Join": ["", ["arn:", LIVE]]}}),
    "a queue or stream": ("AWS::Lambda::EventSourceMapping", {"FunctionName": {"Fn::Join": ["", ["x", LIVE]]}}),
    "a rule": ("AWS::Events::Rule", {"Targets": [{"Id": "0", "Arn": LIVE}]}),
    "a topic": ("AWS::SNS::Subscription", {"Protocol": "lambda", "Endpoint": LIVE}),
    "a function URL": ("AWS::Lambda::Url", {"TargetFunctionArn": LIVE}),
    "a bucket": ("AWS::S3::Bucket", {"NotificationConfiguration": {"LambdaConfigurations": [{"Function": LIVE}]}}),
}
UNGUARDED: Mapping[str, tuple[str, Any]] = {
    "no deployment group": ("Live.UpdatePolicy", None),
    "no alarm": ("Group.Properties.AlarmConfiguration.Alarms", []),
    "alarms that are off": ("Group.Properties.AlarmConfiguration.Enabled", False),
    "no rollback": ("Group.Properties.AutoRollbackConfiguration.Enabled", False),
    "rollback on failure only": ("Group.Properties.AutoRollbackConfiguration.Events", ["DEPLOYMENT_FAILURE"]),
    "alarms on a metric that the handler emits": ("Errors.Properties.Namespace", "Slipway"),
    "alarms that a crash at import does not trip": ("Errors.Properties.MetricName", "Duration"),
}


def _sent_by(sender: str, body: Body = GUARDED) -> Body:
    type_name, properties = SENDERS[sender]
    return {**body, "Sender": {"Type": type_name, "Properties": properties}}


def test_versions_follow_what_their_function_uses() -> None:
    # Given a function with a version, whose variables refer to a table
    uses = {
        "Table": {"Type": "AWS::DynamoDB::Table"},
        "Function": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Description": "Reads orders (uses 0123abcd)",
                "Environment": {"Variables": {"TABLE_NAME": {"Ref": "Table"}}},
            },
        },
        "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Function"}}},
    }
    broken = changed(uses, "Function.Properties.Description", "Reads orders")

    assert found("VersionFollowsWhatItUses", stack(COMPUTE, broken)) == [(COMPUTE, "Function", None)]
    assert found("VersionFollowsWhatItUses", stack(COMPUTE, uses)) == []
    alone = changed(broken, "Function.Properties.Environment.Variables", {"LEVEL": "INFO"})
    assert found("VersionFollowsWhatItUses", stack(COMPUTE, alone)) == []


@pytest.mark.requirement("safe deployments")
@pytest.mark.parametrize("sender", SENDERS)
def test_alias_with_traffic_has_a_canary(sender: str) -> None:
    broken = changed(GUARDED, "Live.UpdatePolicy", None)

    assert found("TrafficAliasGuarded", stack(COMPUTE, _sent_by(sender, broken))) == [(COMPUTE, "Live", None)]
    assert found("TrafficAliasGuarded", stack(COMPUTE, _sent_by(sender))) == []
    # An alias without traffic needs no canary
    assert found("TrafficAliasGuarded", stack(COMPUTE, broken)) == []


@pytest.mark.parametrize("case", UNGUARDED)
def test_a_canary_rolls_back_on_lambdas_own_errors(case: str) -> None:
    broken = changed(_sent_by("a rule"), *UNGUARDED[case])

    assert found("TrafficAliasGuarded", stack(COMPUTE, broken)) == [(COMPUTE, "Live", None)]


OF_THE_HANDLER: Body = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {
        "Metrics": [
            {"Id": "faults", "MetricStat": {"Metric": {"Namespace": "Slipway", "MetricName": "Faults"}, "Stat": "Sum"}}
        ]
    },
}


def test_handlers_metric_may_only_accompany_lambdas_errors() -> None:
    # Given a canary with an alarm on its handler's metric, but none on Lambda's own metrics
    watched = "Group.Properties.AlarmConfiguration.Alarms"
    alone = changed({**_sent_by("a rule"), "Faults": OF_THE_HANDLER}, watched, [{"Name": {"Ref": "Faults"}}])
    # When there are both, then it is guarded
    both = changed(alone, watched, [{"Name": {"Ref": "Faults"}}, {"Name": {"Ref": "Errors"}}])

    assert found("TrafficAliasGuarded", stack(COMPUTE, alone)) == [(COMPUTE, "Live", None)]
    assert found("TrafficAliasGuarded", stack(COMPUTE, both)) == []


def test_an_alias_in_another_stack_is_followed() -> None:
    # Given a rule that invokes an alias through the output of the alias's stack
    compute = {
        "Resources": changed(GUARDED, "Live.UpdatePolicy", None),
        "Outputs": {"PublishOutputLive": {"Value": LIVE}},
    }
    weak = {"Fn::GetStackOutput": {"StackName": "prod-items-compute", "OutputName": "PublishOutputLive"}}
    rule = {"Rule": {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Arn": weak}]}}}
    other = "Pipeline/prod-items/Observability"

    assert found("TrafficAliasGuarded", stack(COMPUTE, compute), stack(other, rule)) == [(COMPUTE, "Live", None)]


@pytest.mark.requirement("versions and aliases")
@pytest.mark.parametrize(
    "target",
    [
        {"Fn::GetAtt": ["Function", "Arn"]},
        {"Ref": "Version"},
        "arn:aws:lambda:us-east-1:777788889999:function:by-hand",
    ],
)
@pytest.mark.parametrize(
    ("type_name", "path"),
    [
        ("AWS::ApiGateway::Method", "Integration.Uri"),
        ("AWS::ApiGatewayV2::Integration", "IntegrationUri"),
        ("AWS::ApiGateway::Authorizer", "AuthorizerUri"),
    ],
)
def test_routes_reach_aliases_and_never_functions(type_name: str, path: str, target: Any) -> None:
    def route(uri: Any) -> Body:
        first, _, second = path.partition(".")
        return {**GUARDED, "Route": {"Type": type_name, "Properties": {first: {second: uri} if second else uri}}}

    assert found("ApiReachesAlias", stack(COMPUTE, route({"Fn::Join": ["", ["arn:", target]]}))) == [
        (COMPUTE, "Route", None)
    ]
    assert found("ApiReachesAlias", stack(COMPUTE, route({"Fn::Join": ["", ["arn:", LIVE]]}))) == []


def test_a_route_answered_by_the_gateway_has_no_target() -> None:
    mock = {"Route": {"Type": "AWS::ApiGateway::Method", "Properties": {"Integration": {"Type": "MOCK"}}}}

    assert found("ApiReachesAlias", stack(COMPUTE, mock)) == []


# --- Alarms and logs ---

ALARM: Body = {
    "Alarm": {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": "It fails. Runbook: https://example.com/runbooks/errors.md",
            "AlarmActions": [{"Ref": "Topic"}],
        },
    }
}


@pytest.mark.requirement("alarm notifications")
@pytest.mark.parametrize(
    ("key", "value"),
    [("AlarmActions", None), ("AlarmActions", []), ("ActionsEnabled", False)],
)
@pytest.mark.parametrize("kind", ["Alarm", "CompositeAlarm"])
def test_an_alarm_has_an_action(kind: str, key: str, value: Any) -> None:
    body = changed(ALARM, "Alarm.Type", f"AWS::CloudWatch::{kind}")
    broken = changed(body, f"Alarm.Properties.{key}", value)

    assert found("AlarmActs", stack(COMPUTE, broken)) == [(COMPUTE, "Alarm", None)]
    assert found("AlarmActs", stack(COMPUTE, body)) == []


def _relay(**conditions: Any) -> Body:
    pattern = {"detail-type": ["CloudWatch Alarm State Change"], **conditions}
    target = {"Id": "Bus", "Arn": "arn:aws:events:eu-west-1:101112131415:event-bus/delivery"}
    return {"Relay": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": pattern, "Targets": [target]}}}


def _on_4xx(logical_id: str) -> Body:
    properties = {"Namespace": "AWS/ApiGateway", "MetricName": "4XXError"}
    return {logical_id: {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}


FOUNDATION = "Pipeline/prod-foundation/Foundation"


@pytest.mark.requirement("items: alarms")
@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"detail": {"alarmName": [{"prefix": "prod-"}]}},
        {"detail": {"alarmName": [{"anything-but": {"wildcard": "*Quiet*"}}]}},
        {"detail": {"alarmName": [{"anything-but": ["other"]}]}},
        {"detail": {"alarmName": [{"equals-ignore-case": "PROD"}]}},
    ],
)
def test_alarms_that_callers_trigger_judge_no_release(conditions: Body) -> None:
    relay = stack(FOUNDATION, _relay(**conditions))

    assert found("ReleaseJudgedByItself", relay, stack(COMPUTE, _on_4xx("Loud"))) == [(COMPUTE, "Loud", None)]


@pytest.mark.parametrize(
    "conditions",
    [
        {"detail": {"alarmName": [{"prefix": "staging-"}]}},
        {"detail": {"alarmName": [{"anything-but": {"wildcard": "*Quiet*"}}]}},
        {"resources": [{"prefix": "arn:aws:cloudwatch:nowhere-1:"}]},
        {"detail-type": ["EC2 Instance State-change Notification"]},
    ],
)
def test_alarms_that_are_not_relayed_judge_no_release(conditions: Body) -> None:
    relay = stack(FOUNDATION, _relay(**conditions))

    assert found("ReleaseJudgedByItself", relay, stack(COMPUTE, _on_4xx("VeryQuiet"))) == []


@pytest.mark.parametrize(
    "reader",
    [
        {
            "Type": "AWS::CodeDeploy::DeploymentGroup",
            "Properties": {"AlarmConfiguration": {"Alarms": [{"Name": {"Ref": "Alarm"}}]}},
        },
        {
            "Type": "AWS::CodePipeline::Pipeline",
            "Properties": {"Stages": [{"OnSuccess": {"Conditions": [{"AlarmName": {"Ref": "Alarm"}}]}}]},
        },
        {
            "Type": "AWS::AppConfig::Environment",
            "Properties": {"Monitors": [{"AlarmArn": {"Fn::GetAtt": ["Alarm", "Arn"]}}]},
        },
    ],
)
def test_a_reader_of_an_alarm_counts_as_its_action(reader: Any) -> None:
    silent = changed(ALARM, "Alarm.Properties.AlarmActions", None)

    assert found("AlarmActs", stack(COMPUTE, {**silent, "Reader": reader})) == []


@pytest.mark.requirement("alarm notifications")
@pytest.mark.parametrize(
    "description",
    [
        None,
        "It fails.",
        "It fails. Runbook: https://example.com/runbooks/gone.md",
        "It fails. Runbook: http://example.com/runbooks/errors.md",
        "Runbook: https://example.com/runbooks/errors.md, if there is one",
    ],
)
def test_an_alarm_links_to_its_runbook(description: str | None) -> None:
    broken = changed(ALARM, "Alarm.Properties.AlarmDescription", description)

    assert found("AlarmHasRunbook", stack(COMPUTE, broken)) == [(COMPUTE, "Alarm", None)]
    assert found("AlarmHasRunbook", stack(COMPUTE, ALARM)) == []


LOGS: Body = {
    "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": 7, "KmsKeyId": {"Ref": "Key"}}},
    "Function": {
        "Type": "AWS::Lambda::Function",
        "Properties": {"LoggingConfig": {"LogGroup": {"Ref": "Group"}}},
    },
    "Project": {
        "Type": "AWS::CodeBuild::Project",
        "Properties": {"LogsConfig": {"CloudWatchLogs": {"GroupName": {"Ref": "Group"}}}},
    },
}


@pytest.mark.requirement("functions")
@pytest.mark.parametrize(
    ("key", "where"),
    [
        ("Group.Properties.RetentionInDays", "Group"),
        ("Group.Properties.KmsKeyId", "Group"),
        ("Function.Properties.LoggingConfig", "Function"),
        ("Project.Properties.LogsConfig", "Project"),
    ],
)
def test_every_log_expires_and_is_encrypted(key: str, where: str) -> None:
    assert found("LogGroupKept", stack(COMPUTE, changed(LOGS, key, None))) == [(COMPUTE, where, None)]
    assert found("LogGroupKept", stack(COMPUTE, LOGS)) == []


# --- Permissions ---


def _policy(type_name: str = "AWS::IAM::ManagedPolicy", **statement: Any) -> Body:
    document = {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:x", **statement}]}
    key = "Policies" if type_name == "AWS::IAM::Role" else "PolicyDocument"
    value = [{"PolicyDocument": document}] if type_name == "AWS::IAM::Role" else document
    return {"Policy": {"Type": type_name, "Properties": {key: value}}}


@pytest.mark.requirement("functions")
@pytest.mark.parametrize("type_name", ["AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"])
@pytest.mark.parametrize(
    ("statement", "findings"),
    [
        ({"Action": "s3:Get*"}, ["Action::s3:Get*"]),
        ({"Action": ["s3:GetObject", "*"]}, ["Action::*"]),
        ({"Action": "s3:GetObjec?"}, ["Action::s3:GetObjec?"]),
        ({"Resource": "*"}, ["Resource::*"]),
        ({"Resource": ["arn:x", "*"]}, ["Resource::*"]),
        ({"Action": ["xray:PutTraceSegments", "s3:GetObject"], "Resource": "*"}, ["Resource::*"]),
        ({"Action": "s3:*", "Resource": "*"}, ["Action::s3:*", "Resource::*"]),
        ({"NotAction": "iam:*"}, ["NotAction"]),
        ({"NotResource": "arn:y"}, ["NotResource"]),
        ({"Condition": {"Bool": {"x": "y"}}, "Resource": "*"}, ["Resource::*"]),
    ],
)
def test_a_policy_names_actions_and_resources(type_name: str, statement: Any, findings: list[str]) -> None:
    assert found("ExactPermissions", stack(COMPUTE, _policy(type_name, **statement))) == [
        (COMPUTE, "Policy", finding) for finding in findings
    ]
    assert found("ExactPermissions", stack(COMPUTE, _policy(type_name))) == []


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
        {"Resource": "arn:aws:s3:::bucket/prefix/*"},
    ],
)
def test_denials_and_prefixes_are_accepted(statement: Any) -> None:
    assert found("ExactPermissions", stack(COMPUTE, _policy(**statement))) == []


@pytest.mark.parametrize(
    ("type_name", "key"),
    [
        ("AWS::S3::BucketPolicy", "PolicyDocument"),
        ("AWS::SQS::QueuePolicy", "PolicyDocument"),
        ("AWS::SNS::TopicPolicy", "PolicyDocument"),
        ("AWS::SecretsManager::ResourcePolicy", "ResourcePolicy"),
        ("AWS::Backup::BackupVault", "AccessPolicy"),
        ("AWS::Events::EventBusPolicy", "Statement"),
    ],
)
def test_a_resources_policy_names_actions_too(type_name: str, key: str) -> None:
    def body(action: str) -> Body:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*", "Principal": {"AWS": "x"}}
        document = statement if key == "Statement" else {"Statement": statement}
        return {"Policy": {"Type": type_name, "Properties": {key: document}}}

    assert found("ExactPermissions", stack(DATA, body("s3:Get*"))) == [(DATA, "Policy", "Action::s3:Get*")]
    assert found("ExactPermissions", stack(DATA, body("s3:GetObject"))) == []


@pytest.mark.parametrize(
    ("statement", "red"),
    [
        ({"Action": "kms:*", "Principal": {"AWS": "arn:aws:iam::777788889999:root"}}, False),
        ({"Action": "kms:*", "Principal": {"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}}, False),
        ({"Action": "kms:*", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}, True),
        ({"Action": "kms:*", "Principal": {"AWS": "arn:aws:iam::777788889999:role/x"}}, True),
        ({"Action": "kms:*", "Principal": "*"}, True),
        ({"Action": "kms:GenerateDataKey*", "Principal": {"Service": "logs"}, "Condition": {"A": {"b": "c"}}}, False),
        ({"Action": "kms:GenerateDataKey*", "Principal": {"Service": "logs"}}, True),
        ({"Action": "kms:*", "Principal": {"Service": "logs"}, "Condition": {"A": {"b": "c"}}}, True),
    ],
)
def test_key_policy_may_contain_only_what_aws_documents(statement: Any, red: bool) -> None:
    policy = {"Statement": [{"Effect": "Allow", "Resource": "*", **statement}]}
    key = {"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy}}}

    assert bool(found("ExactPermissions", stack(DATA, key))) is red


@pytest.mark.requirement("functions")
def test_actions_match_the_authorization_reference() -> None:
    reference = json.loads(files("cfnlint").joinpath("data/AdditionalSpecs/Policies.json").read_text(encoding="utf-8"))

    assert permissions.WITHOUT_RESOURCE_LEVEL
    for action in permissions.WITHOUT_RESOURCE_LEVEL:
        service, _, name = action.lower().partition(":")
        known = reference[service]["Actions"][name]
        assert not known.get("Resources"), action


# --- Names ---


@pytest.mark.parametrize(
    ("type_name", "properties"),
    [
        ("AWS::DynamoDB::Table", {"TableName": "items"}),
        ("AWS::Lambda::Function", {"FunctionName": {"Fn::Join": ["-", ["items", {"Ref": "AWS::Region"}]]}}),
        ("AWS::SQS::Queue", {"QueueName": "items"}),
        ("AWS::IAM::Role", {"RoleName": "items"}),
        ("AWS::SecretsManager::Secret", {"Name": "items"}),
        ("AWS::S3::Bucket", {"BucketName": "items-prod"}),
        ("AWS::Logs::LogGroup", {"LogGroupName": "/aws/lambda/items"}),
        ("AWS::Cognito::UserPoolClient", {"ClientName": "web"}),
        ("AWS::Lambda::Alias", {"Name": "prod"}),
    ],
)
def test_names_are_only_set_where_configured(type_name: str, properties: Any) -> None:
    broken = {"Thing": {"Type": type_name, "Properties": properties}}

    assert found("NoPhysicalName", stack(COMPUTE, broken)) == [(COMPUTE, "Thing", None)]
    assert found("NoPhysicalName", stack(COMPUTE, {"Thing": {"Type": type_name, "Properties": {}}})) == []


@pytest.mark.parametrize(
    ("type_name", "properties"),
    [
        ("AWS::S3::Bucket", {"BucketName": "cf-serverless-0a1b2c3d"}),
        ("AWS::S3::Bucket", {"BucketName": "cf-serverless-logs-0a1b2c3d"}),
        # The name of the support stack in another region as CDK shortens it, for apps with a long and a short name
        ("AWS::S3::Bucket", {"BucketName": "slipway-pipeline-support-eplicationbucket1c76a399e0db8d1b3519"}),
        ("AWS::S3::Bucket", {"BucketName": "acme-pipeline-support-us-eplicationbucket1c76a399e0db8d1b3519"}),
        ("AWS::S3::Bucket", {"BucketName": "acme-of-berlin-pipeline-seplicationbucket1c76a399e0db8d1b3519"}),
        ("AWS::KMS::Alias", {"AliasName": "alias/items-prod"}),
        ("AWS::Logs::LogGroup", {"LogGroupName": {"Fn::Join": ["", ["API-Gateway-Execution-Logs_", LIVE, "/live"]]}}),
        ("AWS::IAM::Policy", {"PolicyName": "ItemsDefaultPolicy0A1B"}),
    ],
)
def test_configured_names_are_accepted(type_name: str, properties: Any) -> None:
    assert found("NoPhysicalName", stack(COMPUTE, {"Thing": {"Type": type_name, "Properties": properties}})) == []


def test_every_allowed_name_has_a_reason() -> None:
    assert all(entry["why"].strip() for entry in data("names.json")["allowed"])


# --- Outputs ---


@pytest.mark.requirement("outputs")
@pytest.mark.parametrize("description", [None, "", "  "])
def test_an_output_has_a_description(description: str | None) -> None:
    fixed: Body = {"Resources": {}, "Outputs": {"Url": {"Value": "x", "Description": "Where it is"}}}
    broken = changed(fixed, "Outputs.Url.Description", description)

    assert found("OutputDescribed", stack(COMPUTE, broken)) == [(COMPUTE, None, "Url")]
    assert found("OutputDescribed", stack(COMPUTE, fixed)) == []


def test_outputs_that_cdk_generates_need_no_description() -> None:
    body: Body = {"Resources": {}, "Outputs": {"PublishOutputFnGetAttKeyArn": {"Value": "x"}}}

    assert found("OutputDescribed", stack(DATA, body)) == []
