"""Equivalent values are not findings: a set in another order, another notation, an explicit default."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from unit.review.assemblies import found, resource
from unit.review.planted import TLS_ONLY, allow, role

RULES = [
    {"Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 1},
    {"Status": "Enabled", "Prefix": "logs/", "ExpirationInDays": 90},
    {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
]

SETS: dict[str, tuple[str, str, list[Any]]] = {
    "lifecycle rules without ids": ("AWS::S3::Bucket", "LifecycleConfiguration.Rules", RULES),
    "tags": ("AWS::SQS::Queue", "Tags", [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}]),
    "statements": (
        "AWS::SQS::QueuePolicy",
        "PolicyDocument.Statement",
        [TLS_ONLY, {"Effect": "Allow", "Action": "sqs:SendMessage", "Principal": {"Service": "a.amazonaws.com"}}],
    ),
    "indexes": (
        "AWS::DynamoDB::Table",
        "GlobalSecondaryIndexes",
        [{"IndexName": name, "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}]} for name in ("a", "b")],
    ),
    "alarm actions": ("AWS::CloudWatch::Alarm", "AlarmActions", ["arn:a", "arn:b"]),
    "audiences": ("AWS::ApiGatewayV2::Authorizer", "JwtConfiguration.Audience", ["a", "b"]),
    "callbacks": ("AWS::Cognito::UserPoolClient", "CallbackURLs", ["https://a.example", "https://b.example"]),
    "filters": ("AWS::Lambda::EventSourceMapping", "FilterCriteria.Filters", [{"Pattern": "a"}, {"Pattern": "b"}]),
    "targets": ("AWS::Events::Rule", "Targets", [{"Id": "a", "Arn": "x"}, {"Id": "b", "Arn": "y"}]),
    "selected resources": ("AWS::Backup::BackupSelection", "BackupSelection.Resources", ["arn:a", "arn:b"]),
    "subnets": ("AWS::Lambda::Function", "VpcConfig.SubnetIds", ["a", "b"]),
    "managed policies": ("AWS::IAM::Role", "ManagedPolicyArns", ["arn:a", "arn:b"]),
}


def _with(kind: str, path: str, value: Any) -> dict[str, Any]:
    for name in reversed(path.split(".")):
        value = {name: value}
    return {"It": resource(kind, copy.deepcopy(value))}


@pytest.mark.parametrize("name", SETS)
def test_order_of_a_set_does_not_matter(name: str) -> None:
    kind, path, items = SETS[name]

    assert not found(_with(kind, path, items), _with(kind, path, items[::-1]))


@pytest.mark.parametrize("name", sorted(SETS.keys() - {"tags"}))
def test_item_removed_from_a_set_is_found(name: str) -> None:
    # Given one item fewer, in another order; except tags, which are harmless
    kind, path, items = SETS[name]

    assert found(_with(kind, path, items), _with(kind, path, items[:0:-1]))


def test_order_that_matters_is_a_change() -> None:
    layers = ["arn:a", "arn:b"]

    assert found(
        _with("AWS::Lambda::Function", "Layers", layers), _with("AWS::Lambda::Function", "Layers", layers[::-1])
    )


def test_actions_of_a_statement_have_no_order() -> None:
    actions = ["s3:GetObject", "s3:PutObject"]

    assert not found(role(allow(actions)), role(allow(actions[::-1])))


@pytest.mark.parametrize(
    ("before", "after", "loosened"),
    [
        ({"AutomaticallyAfterDays": 30}, {"ScheduleExpression": "rate(30 days)"}, False),
        ({"AutomaticallyAfterDays": 1}, {"ScheduleExpression": "rate(24 hours)"}, False),
        ({"ScheduleExpression": "rate(30 days)"}, {"AutomaticallyAfterDays": 7}, False),
        ({"AutomaticallyAfterDays": 30}, {"ScheduleExpression": "rate(31 days)"}, True),
        ({"ScheduleExpression": "rate(30 days)"}, {"ScheduleExpression": "rate(365 days)"}, True),
        # The interval depends on the calendar
        ({"ScheduleExpression": "rate(30 days)"}, {"ScheduleExpression": "cron(0 8 1 * ? *)"}, True),
    ],
)
def test_rotation_is_compared_by_its_days(before: Any, after: Any, loosened: bool) -> None:
    kind = "AWS::SecretsManager::RotationSchedule"
    findings = found(_with(kind, "RotationRules", before), _with(kind, "RotationRules", after))

    assert {finding.kind for finding in findings} == ({"protection-dropped"} if loosened else set())


DEFAULTS = [
    ("AWS::Lambda::Function", "MemorySize", 128),
    ("AWS::Lambda::Function", "Timeout", 3),
    ("AWS::SQS::Queue", "MessageRetentionPeriod", 345600),
    ("AWS::SQS::Queue", "VisibilityTimeout", 30),
    ("AWS::KMS::Key", "Enabled", True),
    ("AWS::Events::Rule", "State", "ENABLED"),
    ("AWS::Lambda::EventSourceMapping", "Enabled", True),
    ("AWS::DynamoDB::Table", "DeletionProtectionEnabled", False),
    ("AWS::CloudWatch::Alarm", "TreatMissingData", "missing"),
    ("AWS::ApiGatewayV2::Stage", "DefaultRouteSettings.ThrottlingRateLimit", 10000),
    ("AWS::Cognito::UserPoolClient", "EnableTokenRevocation", True),
]


@pytest.mark.parametrize(("kind", "path", "value"), DEFAULTS, ids=str)
def test_explicit_default_is_not_a_change(kind: str, path: str, value: Any) -> None:
    other = {"It": resource(kind, {"Description": "a"})}
    written = {"It": resource(kind, {**_with(kind, path, value)["It"]["Properties"], "Description": "a"})}

    assert not found(other, written)
    assert not found(written, other)
