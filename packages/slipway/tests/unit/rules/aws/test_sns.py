"""Rules about topics: which services may publish, and encrypt what they publish."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {}}
SOURCE = {"StringEquals": {"aws:SourceAccount": "123456789012"}}

SENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "alarm": (
        "cloudwatch.amazonaws.com",
        {"Type": "AWS::CloudWatch::Alarm", "Properties": {"OKActions": [{"Ref": "Topic"}]}},
    ),
    "composite alarm": (
        "cloudwatch.amazonaws.com",
        {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmActions": [{"Ref": "Topic"}]}},
    ),
    "event rule": (
        "events.amazonaws.com",
        {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Id": "1", "Arn": {"Ref": "Topic"}}]}},
    ),
    "notification rule": (
        "codestar-notifications.amazonaws.com",
        {
            "Type": "AWS::CodeStarNotifications::NotificationRule",
            "Properties": {"Targets": [{"TargetType": "SNS", "TargetAddress": {"Ref": "Topic"}}]},
        },
    ),
    "budget": (
        "budgets.amazonaws.com",
        {
            "Type": "AWS::Budgets::Budget",
            "Properties": {
                "NotificationsWithSubscribers": [
                    {"Subscribers": [{"SubscriptionType": "SNS", "Address": {"Ref": "Topic"}}]}
                ]
            },
        },
    ),
    "vault": (
        "backup.amazonaws.com",
        {"Type": "AWS::Backup::BackupVault", "Properties": {"Notifications": {"SNSTopicArn": {"Ref": "Topic"}}}},
    ),
    "bucket": (
        "s3.amazonaws.com",
        {
            "Type": "AWS::S3::Bucket",
            "Properties": {"NotificationConfiguration": {"TopicConfigurations": [{"Topic": {"Ref": "Topic"}}]}},
        },
    ),
}


def _statement(service: str, action: Any = "sns:Publish", **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": "*",
        "Condition": SOURCE,
        **more,
    }


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Statement": list(statements)}},
    }


def _key(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": list(statements)}}}


DENY = {"Effect": "Deny", "Principal": "*", "Action": "sns:Publish", "Condition": {"Bool": {}}}


@pytest.mark.requirement("a topic whose policy lets no alarm publish")
@pytest.mark.parametrize("sender", SENDERS)
def test_a_policy_allows_the_topics_publishers(sender: str) -> None:
    service, resource = SENDERS[sender]
    rule = "TopicLetsPublisherPublish"

    assert broken(rule, {"Topic": TOPIC, "Sender": resource, "Policy": _policy(DENY)}) == ["Topic"]
    assert broken(rule, {"Topic": TOPIC, "Sender": resource, "Policy": _policy(DENY, _statement("other.aws"))}) == [
        "Topic"
    ]
    assert broken(rule, {"Topic": TOPIC, "Sender": resource, "Policy": _policy(DENY, _statement(service))}) == []
    assert broken(rule, {"Topic": TOPIC, "Sender": resource, "Policy": _policy(_statement(service, "SNS:*"))}) == []
    assert broken(rule, {"Topic": TOPIC, "Policy": _policy(DENY)}) == []


def test_without_a_policy_only_alarms_may_publish() -> None:
    rule = "TopicLetsPublisherPublish"

    assert broken(rule, {"Topic": TOPIC, "Sender": SENDERS["alarm"][1]}) == []
    assert broken(rule, {"Topic": TOPIC, "Sender": SENDERS["event rule"][1]}) == ["Topic"]


def test_a_target_with_a_role_publishes_as_that_role() -> None:
    target = {"Arn": {"Ref": "Topic"}, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}
    sender = {"Type": "AWS::Events::Rule", "Properties": {"Targets": [target]}}

    assert broken("TopicLetsPublisherPublish", {"Topic": TOPIC, "Sender": sender, "Policy": _policy(DENY)}) == []


def test_alarms_of_other_stacks_are_found() -> None:
    # Given a topic whose alarms are in stacks that refer to it by its outputs
    topic = planted_stack(
        {
            "Resources": {"Topic": TOPIC, "Policy": _policy(DENY)},
            "Outputs": {"Arn": {"Value": {"Ref": "Topic"}, "Export": {"Name": "shared:topic"}}},
        },
        name="topic",
    )
    for reference in (
        {"Fn::GetStackOutput": {"StackName": "topic", "OutputName": "Arn"}},
        {"Fn::ImportValue": "shared:topic"},
    ):
        alarm = {"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmActions": [reference]}}
        assert broken("TopicLetsPublisherPublish", {"Alarm": alarm}, topic) == ["Topic"]


def test_a_topics_key_allows_its_publishers_to_encrypt() -> None:
    rule, alarm = "TopicKeyLetsPublisherEncrypt", SENDERS["alarm"][1]
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}}
    right = _statement("cloudwatch.amazonaws.com", ["kms:Decrypt", "kms:GenerateDataKey*"])
    half = _statement("cloudwatch.amazonaws.com", ["kms:Decrypt"])

    assert broken(rule, {"Topic": topic, "Alarm": alarm, "Key": _key(right)}) == []
    assert broken(rule, {"Topic": topic, "Alarm": alarm, "Key": _key(half)}) == ["Topic"]
    assert broken(rule, {"Topic": topic, "Alarm": alarm, "Key": _key()}) == ["Topic"]
    assert broken(rule, {"Topic": TOPIC, "Alarm": alarm}) == []
    assert broken(rule, {"Topic": topic, "Key": _key()}) == []


@pytest.mark.parametrize("key", ["alias/aws/sns", {"Ref": "SomeParameter"}, "arn:aws:kms:eu-west-1:1:key/1"])
def test_an_unknown_key_is_reported(key: Any) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": key}}

    assert broken("TopicKeyLetsPublisherEncrypt", {"Topic": topic, "Alarm": SENDERS["alarm"][1]}) == ["Topic"]


@pytest.mark.parametrize(
    "condition",
    [SOURCE, {"ArnLike": {"AWS:SourceArn": "arn:aws:cloudwatch:*"}}, {"StringEquals": {"aws:SourceOrgID": "o-1"}}],
)
def test_a_policy_limits_a_service_to_its_source(condition: dict[str, Any]) -> None:
    rule, service = "TopicAsksForSource", "cloudwatch.amazonaws.com"
    open_to_all = _statement(service)
    del open_to_all["Condition"]

    assert broken(rule, {"Policy": _policy(_statement(service, Condition=condition))}) == []
    assert broken(rule, {"Policy": _policy(_statement(service, Condition={"Bool": {"aws:SecureTransport": 1}}))}) == [
        "Policy"
    ]
    assert broken(rule, {"Policy": _policy(open_to_all)}) == ["Policy"]


def test_a_key_needs_no_source_condition_for_eventbridge() -> None:
    rule, sender = "EventBridgeKeyWithoutSource", SENDERS["event rule"][1]
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}}
    asking = _statement("events.amazonaws.com", ["kms:Decrypt", "kms:GenerateDataKey"])
    plain = {**asking, "Condition": {}}

    assert broken(rule, {"Topic": topic, "Sender": sender, "Key": _key(asking)}) == ["Topic"]
    assert broken(rule, {"Topic": topic, "Sender": sender, "Key": _key(asking, plain)}) == []
    assert broken(rule, {"Topic": topic, "Sender": SENDERS["alarm"][1], "Key": _key(asking)}) == []


def test_the_role_of_an_approval_may_publish() -> None:
    rule = "ApprovalMayPublish"

    def pipeline(*actions: str, encrypted: bool = False, **action: Any) -> dict[str, Any]:
        topic = {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}} if encrypted else {}
        approval = {"Name": "Approve", "Configuration": {"NotificationArn": {"Ref": "Topic"}}, **action}
        document = {"Statement": {"Effect": "Allow", "Action": list(actions), "Resource": "*"}}
        return {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": topic},
            "Key": _key(),
            "Role": {"Type": "AWS::IAM::Role", "Properties": {}},
            "Policy": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"Roles": [{"Ref": "Role"}], "PolicyDocument": document},
            },
            "Pipeline": {
                "Type": "AWS::CodePipeline::Pipeline",
                "Properties": {
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Stages": [{"Name": "Prod", "Actions": [approval]}],
                },
            },
        }

    assert broken(rule, pipeline("sns:Publish")) == []
    assert broken(rule, pipeline("sns:Subscribe")) == ["Pipeline"]
    assert broken(rule, pipeline("sns:Publish", encrypted=True)) == ["Pipeline"]
    assert broken(rule, pipeline("sns:*", "kms:Decrypt", "kms:GenerateDataKey*", encrypted=True)) == []
    # A role of another template is unknown
    assert broken(rule, pipeline("sns:Publish", RoleArn="arn:aws:iam::123456789012:role/other")) == ["Pipeline"]
