"""Rules about what a rollback deletes."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

DELETED = (None, "Delete", "RetainExceptOnCreate", "Snapshot")


def _resource(kind: str, policy: str | None, **properties: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"Type": kind, "Properties": properties}
    return {"Resource": body if policy is None else {**body, "DeletionPolicy": policy}}


PROTECTED = [
    ("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": True}),
    ("AWS::DynamoDB::GlobalTable", {"Replicas": [{"Region": "eu-west-1", "DeletionProtectionEnabled": True}]}),
    ("AWS::Cognito::UserPool", {"DeletionProtection": "ACTIVE"}),
    ("AWS::RDS::DBCluster", {"DeletionProtection": True}),
    ("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": {"Fn::If": ["IsProd", True, False]}}),
]


@pytest.mark.requirement("a first deployment whose rollback cannot delete protected resources")
@pytest.mark.parametrize(("kind", "properties"), PROTECTED)
@pytest.mark.parametrize("policy", DELETED)
def test_protected_resources_survive_a_rollback(kind: str, properties: dict[str, Any], policy: str | None) -> None:
    assert broken("ProtectedSurvivesRollback", _resource(kind, policy, **properties)) == ["Resource"]
    assert broken("ProtectedSurvivesRollback", _resource(kind, "Retain", **properties)) == []


@pytest.mark.parametrize(
    ("kind", "properties"),
    [("AWS::DynamoDB::Table", {"DeletionProtectionEnabled": False}), ("AWS::Cognito::UserPool", {})],
)
def test_unprotected_resources_may_be_deleted(kind: str, properties: dict[str, Any]) -> None:
    assert broken("ProtectedSurvivesRollback", _resource(kind, "RetainExceptOnCreate", **properties)) == []


BUCKET = {"Ref": "Logs"}
SOURCES: dict[str, dict[str, Any]] = {
    "access logs": {
        "Type": "AWS::S3::Bucket",
        "Properties": {"LoggingConfiguration": {"DestinationBucketName": BUCKET}},
    },
    "distribution": {
        "Type": "AWS::CloudFront::Distribution",
        "Properties": {"DistributionConfig": {"Logging": {"Bucket": {"Fn::GetAtt": ["Logs", "RegionalDomainName"]}}}},
    },
    "load balancer": {
        "Type": "AWS::ElasticLoadBalancingV2::LoadBalancer",
        "Properties": {"LoadBalancerAttributes": [{"Key": "access_logs.s3.bucket", "Value": BUCKET}]},
    },
    "delivery": {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {
            "Bucket": BUCKET,
            "PolicyDocument": {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"Service": "delivery.logs.amazonaws.com"},
                        "Action": "s3:PutObject",
                    }
                ]
            },
        },
    },
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("policy", DELETED)
def test_log_buckets_survive_a_rollback(source: dict[str, Any], policy: str | None) -> None:
    logs = {"Type": "AWS::S3::Bucket"}
    deleted = {"Logs": logs if policy is None else {**logs, "DeletionPolicy": policy}, "Source": source}
    kept = {"Logs": {**logs, "DeletionPolicy": "Retain"}, "Source": source}

    assert broken("LogBucketSurvivesRollback", deleted) == ["Logs"]
    assert broken("LogBucketSurvivesRollback", kept) == []


def test_buckets_without_logs_may_be_deleted() -> None:
    denying = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*"}]}
    policy = {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": BUCKET, "PolicyDocument": denying}}

    assert broken("LogBucketSurvivesRollback", {"Logs": {"Type": "AWS::S3::Bucket"}, "Policy": policy}) == []


def test_log_bucket_of_another_stack_is_judged() -> None:
    outputs = {"Name": {"Value": BUCKET}}
    owner = planted_stack({"Resources": {"Logs": {"Type": "AWS::S3::Bucket"}}, "Outputs": outputs}, name="owner")
    named = {"Fn::GetStackOutput": {"StackName": "owner", "OutputName": "Name"}}
    source = {"Type": "AWS::S3::Bucket", "Properties": {"LoggingConfiguration": {"DestinationBucketName": named}}}

    assert broken("LogBucketSurvivesRollback", {"Source": source}, owner) == ["Logs"]
