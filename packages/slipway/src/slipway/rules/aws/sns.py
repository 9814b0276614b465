"""Rules on SNS: permissions to publish to a topic, and to encrypt for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from slipway.rules.aws.policies import allowing, allows_service, asks_for_source, condition_keys, statements
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates, Value, listed, text

_ACCESS = "https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html"
_KEYS = "https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html"
_ALARMS = "https://repost.aws/knowledge-center/cloudwatch-receive-sns-for-alarm-trigger"

_TOPIC = "AWS::SNS::Topic"
_EVENTS = "events.amazonaws.com"

_PUBLISHERS: Mapping[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "AWS::Backup::BackupVault": ("backup.amazonaws.com", (("Notifications", "SNSTopicArn"),)),
    "AWS::Budgets::Budget": ("budgets.amazonaws.com", (("NotificationsWithSubscribers",),)),
    "AWS::CE::AnomalySubscription": ("costalerts.amazonaws.com", (("Subscribers",),)),
    "AWS::CloudTrail::Trail": ("cloudtrail.amazonaws.com", (("SnsTopicName",),)),
    "AWS::CloudWatch::Alarm": (
        "cloudwatch.amazonaws.com",
        (("AlarmActions",), ("OKActions",), ("InsufficientDataActions",)),
    ),
    "AWS::CloudWatch::CompositeAlarm": (
        "cloudwatch.amazonaws.com",
        (("AlarmActions",), ("OKActions",), ("InsufficientDataActions",)),
    ),
    "AWS::CodeStarNotifications::NotificationRule": ("codestar-notifications.amazonaws.com", (("Targets",),)),
    "AWS::S3::Bucket": ("s3.amazonaws.com", (("NotificationConfiguration", "TopicConfigurations"),)),
}
"""Resource types that make a service publish → the service, and the properties with topics."""

# Services that the default policy of a topic allows for the account's own resources.
_BY_DEFAULT = frozenset({"cloudwatch.amazonaws.com"})


@dataclass(frozen=True)
class _Publication:
    """A topic, the service that publishes to it, and the resource for which it does."""

    topic: Resource
    service: str
    by: Resource


def _publications(templates: Templates) -> Iterator[_Publication]:
    for resource in templates.of_type(*_PUBLISHERS):
        service, paths = _PUBLISHERS[resource.type]
        for path in paths:
            for topic in _topics(templates, resource, resource.get(*path)):
                yield _Publication(topic, service, resource)
    for rule in templates.of_type("AWS::Events::Rule"):
        for target in listed(rule.get("Targets") or []):
            # With a role EventBridge publishes in the role's name.
            if isinstance(target, dict) and "RoleArn" not in target:
                for topic in _topics(templates, rule, target.get("Arn")):
                    yield _Publication(topic, _EVENTS, rule)


def _topics(templates: Templates, resource: Resource, value: Value) -> Iterator[Resource]:
    return (topic for topic in templates.referred(resource.stack, value) if topic.type == _TOPIC)


def _policies(templates: Templates, topic: Resource) -> list[Value]:
    return [
        policy.get("PolicyDocument")
        for policy in templates.of_type("AWS::SNS::TopicPolicy")
        if topic in list(templates.referred(policy.stack, policy.get("Topics")))
    ]


def _cannot_publish(templates: Templates) -> Iterator[Found]:
    for publication in _publications(templates):
        policies = _policies(templates, publication.topic)
        if not policies and publication.service in _BY_DEFAULT:
            continue
        if not any(allows_service(policy, publication.service, "sns:Publish") for policy in policies):
            yield Found(publication.topic.stack, publication.topic.logical_id, f"Publisher::{publication.service}")


def _cannot_encrypt(templates: Templates) -> Iterator[Found]:
    for publication in _publications(templates):
        topic, value = publication.topic, publication.topic.get("KmsMasterKeyId")
        if value is None:
            continue
        finding = f"Publisher::{publication.service}"
        if "alias/aws/sns" in text(value):
            # The policy of a key that AWS manages cannot be changed.
            yield Found(topic.stack, topic.logical_id, finding)
            continue
        keys = [key for key in templates.referred(topic.stack, value) if key.type == "AWS::KMS::Key"]
        if not keys:
            yield Found(topic.stack, topic.logical_id, f"Unresolved::{text(value)}")
        for key in keys:
            if not allows_service(key.get("KeyPolicy"), publication.service, "kms:GenerateDataKey", "kms:Decrypt"):
                yield Found(topic.stack, topic.logical_id, finding)


def _without_source(templates: Templates) -> Iterator[Found]:
    services = sorted({service for service, _ in _PUBLISHERS.values()} | {_EVENTS})
    for policy in templates.of_type("AWS::SNS::TopicPolicy"):
        for service in services:
            for statement in allowing(policy.get("PolicyDocument"), service, "sns:Publish"):
                if not asks_for_source(statement):
                    yield Found(policy.stack, policy.logical_id, f"Publisher::{service}")


def _events_by_source(templates: Templates) -> Iterator[Found]:
    for publication in _publications(templates):
        if publication.service != _EVENTS:
            continue
        topic = publication.topic
        for key in templates.referred(topic.stack, topic.get("KmsMasterKeyId")):
            allowed = list(allowing(key.get("KeyPolicy"), _EVENTS, "kms:GenerateDataKey"))
            if allowed and all(_NOT_GIVEN & condition_keys(statement) for statement in allowed):
                yield Found(topic.stack, topic.logical_id)


# Condition keys that EventBridge does not send to KMS.
_NOT_GIVEN = frozenset({"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid"})


def _approval_cannot_publish(templates: Templates) -> Iterator[Found]:
    for pipeline in templates.of_type("AWS::CodePipeline::Pipeline"):
        for stage in pipeline.get("Stages") or []:
            for action in stage.get("Actions", []):
                for topic in _topics(templates, pipeline, action.get("Configuration", {}).get("NotificationArn")):
                    role = action.get("RoleArn", pipeline.get("RoleArn"))
                    allowed = _allowed(templates, pipeline, role)
                    wanted = ["sns:Publish"]
                    if topic.get("KmsMasterKeyId") is not None:
                        wanted += ["kms:GenerateDataKey", "kms:Decrypt"]
                    if not all(any(fnmatchcase(each.lower(), action) for action in allowed) for each in wanted):
                        yield Found(pipeline.stack, pipeline.logical_id, f"Action::{action.get('Name')}")


def _allowed(templates: Templates, pipeline: Resource, role: Value) -> set[str]:
    """Return the actions that a role's policies allow, in lower case, if the templates contain them."""
    roles = [each for each in templates.referred(pipeline.stack, role) if each.type == "AWS::IAM::Role"]
    documents = [policy.get("PolicyDocument") for each in roles for policy in each.get("Policies") or []]
    documents += [
        policy.get("PolicyDocument")
        for policy in templates.of_type("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        if any(each in roles for each in templates.referred(policy.stack, policy.get("Roles")))
    ]
    return {
        str(action).lower()
        for document in documents
        for statement in statements(document)
        if statement.get("Effect") == "Allow"
        for action in listed(statement.get("Action", []))
    }


def _policy(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::SNS::TopicPolicy",
        "Properties": {"Topics": [{"Ref": "Topic"}], "PolicyDocument": {"Statement": list(statements)}},
    }


_ALARM = {
    "Type": "AWS::CloudWatch::Alarm",
    "Properties": {"MetricName": "Errors", "Namespace": "AWS/Lambda", "AlarmActions": [{"Ref": "Topic"}]},
}
_TLS_ALONE = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "sns:Publish",
    "Resource": {"Ref": "Topic"},
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}

RULES = (
    AwsRule(
        name="TopicLetsPublisherPublish",
        does="A topic policy replaces the default one. If it doesn't allow the service principal of an alarm, an "
        "event rule or a budget, their messages are refused, which only the sender's own history shows.",
        says="A service publishes to a topic whose policy does not allow it to.",
        fix="Allow the service principal sns:Publish, with aws:SourceAccount and the ARN of its resources.",
        source=_ALARMS,
        check=_cannot_publish,
        planted={"Topic": {"Type": _TOPIC}, "Alarm": _ALARM, "Policy": _policy(_TLS_ALONE)},
    ),
    AwsRule(
        name="TopicKeyLetsPublisherEncrypt",
        does="A service that publishes to an encrypted topic calls KMS in its own name, and loses the message if "
        "the key's policy does not allow it; the policy of alias/aws/sns cannot be changed.",
        says="A service publishes to a topic whose key does not allow it to encrypt, or is unknown.",
        fix="Use a customer key whose policy allows the service principal kms:GenerateDataKey and kms:Decrypt.",
        source=_KEYS,
        check=_cannot_encrypt,
        planted={
            "Topic": {"Type": _TOPIC, "Properties": {"KmsMasterKeyId": "alias/aws/sns"}},
            "Alarm": _ALARM,
        },
    ),
    AwsRule(
        name="ApprovalMayPublish",
        does="CodePipeline requests an approval in the name of the action's role, which must be allowed to publish "
        "and to use the topic's key.",
        says="The role of an approval may not publish to its topic, or not encrypt for it: nobody is notified.",
        fix="Allow the role sns:Publish on the topic, and kms:GenerateDataKey and kms:Decrypt on its key.",
        source="https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-iam-permissions.html",
        check=_approval_cannot_publish,
        planted={
            "Topic": {"Type": _TOPIC},
            "Role": {"Type": "AWS::IAM::Role"},
            "Pipeline": {
                "Type": "AWS::CodePipeline::Pipeline",
                "Properties": {
                    "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Stages": [
                        {"Actions": [{"Name": "Approve", "Configuration": {"NotificationArn": {"Ref": "Topic"}}}]}
                    ],
                },
            },
        },
    ),
    AwsRule(
        name="TopicAsksForSource",
        does="A service principal publishes for any account, unless the policy names the source.",
        says="A topic's policy lets a service publish for resources of any account.",
        fix="Add aws:SourceAccount, and aws:SourceArn if the service sends it, to the statement.",
        source=_ACCESS,
        check=_without_source,
        planted={
            "Topic": {"Type": _TOPIC},
            "Policy": _policy(
                {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish"}
            ),
        },
    ),
    AwsRule(
        name="EventBridgeKeyWithoutSource",
        does="EventBridge sends KMS no aws:SourceAccount, aws:SourceArn or aws:SourceOrgID for a topic: a key "
        "policy that requires one drops every message silently.",
        says="An event rule publishes to a topic whose key requires a source from EventBridge.",
        fix="Allow events.amazonaws.com to use the key without a source, or use a topic without a customer key.",
        source=_KEYS,
        check=_events_by_source,
        planted={
            "Key": {
                "Type": "AWS::KMS::Key",
                "Properties": {
                    "KeyPolicy": {
                        "Statement": {
                            "Effect": "Allow",
                            "Principal": {"Service": _EVENTS},
                            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                            "Resource": "*",
                            "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
                        }
                    }
                },
            },
            "Topic": {"Type": _TOPIC, "Properties": {"KmsMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}},
            "Rule": {"Type": "AWS::Events::Rule", "Properties": {"Targets": [{"Arn": {"Ref": "Topic"}}]}},
        },
    ),
)
