"""Stored data: under the service's own key, recoverable, not public."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from slipway.settings import Environment
from slipway.testing.app import Subject
from slipway.testing.contract.reading import holds_faults, takes_logs
from slipway.testing.templates import KEPT, DeployedTemplates, Resource

_KEY_OF: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "AWS::DynamoDB::Table": lambda table: table["SSESpecification"]["KMSMasterKeyId"],
    "AWS::S3::Bucket": lambda bucket: _encryption(bucket)["KMSMasterKeyID"],
    "AWS::SQS::Queue": lambda queue: queue["KmsMasterKeyId"],
    "AWS::SNS::Topic": lambda topic: topic["KmsMasterKeyId"],
    "AWS::Logs::LogGroup": lambda group: group["KmsKeyId"],
    "AWS::SecretsManager::Secret": lambda secret: secret["KmsKeyId"],
    "AWS::Lambda::Function": lambda function: function["KmsKeyArn"],
}
"""Types that store data, and the property of the key in their templates."""


def _encryption(bucket: dict[str, Any]) -> dict[str, Any]:
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    return dict(rule["ServerSideEncryptionByDefault"])


def _buckets(deployment: DeployedTemplates) -> Iterator[tuple[str, Resource]]:
    yield from deployment["data"].of_type("AWS::S3::Bucket").items()


def _key_statements(deployment: DeployedTemplates) -> list[dict[str, Any]]:
    return list(deployment["security"].only("AWS::KMS::Key")["KeyPolicy"]["Statement"])


def _statement_of(deployment: DeployedTemplates, service: str) -> dict[str, Any]:
    found = [entry for entry in _key_statements(deployment) if entry["Principal"] == {"Service": service}]
    assert len(found) == 1, f"{len(found)} statements for {service}"
    return found[0]


@pytest.mark.requirement("its own KMS key")
def test_the_service_has_a_key_of_its_own_that_rotates(deployment: DeployedTemplates, environment: Environment) -> None:
    (key,) = deployment["security"].of_type("AWS::KMS::Key").values()

    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["PendingWindowInDays"] == environment.stateful.key_deletion_window_days
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) in KEPT
    assert sum(len(template.of_type("AWS::KMS::Key")) for template in deployment) == 1


@pytest.mark.requirement("its own KMS key")
def test_the_key_has_an_alias_with_service_and_environment(deployment: DeployedTemplates, service: str) -> None:
    alias = deployment["security"].only("AWS::KMS::Alias")

    assert alias["AliasName"] == f"alias/{service}-{deployment.environment.name}"
    assert deployment.text("security", alias["TargetKeyId"]) == deployment.output("KeyArn")


@pytest.mark.requirement("encryption at rest")
def test_whatever_is_stored_is_encrypted_with_the_services_key(deployment: DeployedTemplates) -> None:
    for template in deployment:
        # The foundation isn't a service and has no key: it stores no data of a service.
        if template.name == "foundation":
            continue
        for resource_type, key_of in _KEY_OF.items():
            for key, resource in template.of_type(resource_type).items():
                # AWS delivers access logs only to buckets with SSE-S3.
                if takes_logs(resource) or holds_faults(resource):
                    assert _encryption(resource["Properties"])["SSEAlgorithm"] == "AES256"
                    continue
                # CloudFront's web ACL logs in CloudFront's own region, where no other region's key can be used.
                if resource_type == "AWS::Logs::LogGroup" and template.region != deployment.environment.region:
                    assert "KmsKeyId" not in resource["Properties"]
                    continue
                assert deployment.text(template.name, key_of(resource["Properties"])) == deployment.output("KeyArn"), (
                    key
                )


@pytest.mark.requirement("encryption at rest")
def test_tables_say_that_the_key_is_a_customers(deployment: DeployedTemplates) -> None:
    for table in deployment["data"].properties_of("AWS::DynamoDB::Table"):
        assert (table["SSESpecification"]["SSEEnabled"], table["SSESpecification"]["SSEType"]) == (True, "KMS")


@pytest.mark.requirement("encryption at rest", "a log group under a customer key that CloudWatch Logs may not use")
def test_cloudwatch_logs_may_use_the_key_for_this_accounts_groups(
    deployment: DeployedTemplates, environment: Environment
) -> None:
    statement = _statement_of(deployment, f"logs.{environment.region}.amazonaws.com")

    assert set(statement["Action"]) == {
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:ReEncrypt*",
        "kms:GenerateDataKey*",
        "kms:Describe*",
    }
    ((name, arn),) = statement["Condition"]["ArnLike"].items()
    assert name == "kms:EncryptionContext:aws:logs:arn"
    pattern = rf"arn:[^:]+:logs:{environment.region}:{environment.account}:log-group:\*"
    assert re.fullmatch(pattern, deployment.text("security", arn))


@pytest.mark.requirement(
    "encryption at rest", "a writer that may not create data keys, so that an alarm's message is lost"
)
def test_alarms_and_topics_may_use_key_in_this_account(deployment: DeployedTemplates, environment: Environment) -> None:
    for service in ("cloudwatch.amazonaws.com", "sns.amazonaws.com"):
        statement = _statement_of(deployment, service)
        assert set(statement["Action"]) == {"kms:Decrypt", "kms:GenerateDataKey"}
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": environment.account}


@pytest.mark.requirement("its own KMS key")
def test_key_admits_account_and_services_conditionally(deployment: DeployedTemplates, environment: Environment) -> None:
    for statement in _key_statements(deployment):
        assert statement["Effect"] == "Allow"
        principal = statement["Principal"]
        if "AWS" in principal:
            assert deployment.text("security", principal["AWS"]).endswith(f":iam::{environment.account}:root")
        else:
            assert statement["Condition"]


@pytest.mark.requirement("secrets")
def test_secrets_are_generated_and_stand_in_no_template(deployment: DeployedTemplates) -> None:
    for template in deployment:
        for secret in template.properties_of("AWS::SecretsManager::Secret"):
            assert "SecretString" not in secret
            assert secret["GenerateSecretString"]["PasswordLength"] >= 32
        for kind in ("AWS::ApiGateway::ApiKey", "AWS::Cognito::UserPoolClient"):
            for properties in template.properties_of(kind):
                assert not {"Value", "ClientSecret"} & set(properties)


@pytest.mark.requirement("the table")
def test_tables_recover_to_any_second(deployment: DeployedTemplates) -> None:
    for key, table in deployment["data"].of_type("AWS::DynamoDB::Table").items():
        assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True, key
        if "TimeToLiveSpecification" in table["Properties"]:
            assert table["Properties"]["TimeToLiveSpecification"]["Enabled"] is True, key
        if "StreamSpecification" in table["Properties"]:
            assert table["Properties"]["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}, key


@pytest.mark.requirement("the table")
def test_tables_are_protected_as_configured(deployment: DeployedTemplates, environment: Environment) -> None:
    for table in deployment["data"].properties_of("AWS::DynamoDB::Table"):
        assert table.get("DeletionProtectionEnabled", False) is environment.stateful.deletion_protection


@pytest.mark.requirement("capacity by configuration", "ingest: capacity", "processing: capacity")
def test_what_is_provisioned_scales_and_each_index_too(deployment: DeployedTemplates) -> None:
    # Given every table and index with provisioned capacity
    data = deployment["data"]
    provisioned = set()
    for key, table in data.of_type("AWS::DynamoDB::Table").items():
        if table["Properties"].get("BillingMode", "PROVISIONED") == "PROVISIONED":
            indexes = table["Properties"].get("GlobalSecondaryIndexes", [])
            places = ["", *(f"/index/{index['IndexName']}" for index in indexes)]
            provisioned |= {
                (f"table/<data/{key}>{place}", f"dynamodb:{'index' if place else 'table'}:{kind}CapacityUnits")
                for place in places
                for kind in ("Read", "Write")
            }
    # Then each scales, by a policy
    targets = data.of_type("AWS::ApplicationAutoScaling::ScalableTarget")
    assert provisioned == {
        (deployment.text("data", target["Properties"]["ResourceId"]), target["Properties"]["ScalableDimension"])
        for target in targets.values()
    }
    policies = data.properties_of("AWS::ApplicationAutoScaling::ScalingPolicy")
    assert {policy["ScalingTargetId"]["Ref"] for policy in policies} == set(targets)


@pytest.mark.requirement("buckets")
def test_buckets_are_closed_to_the_public_and_to_plain_http(deployment: DeployedTemplates) -> None:
    for key, bucket in _buckets(deployment):
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(properties["PublicAccessBlockConfiguration"]) == 4
        assert properties["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        assert "AccessControl" not in properties
        (denial,) = [
            entry
            for policy in deployment["data"].properties_of("AWS::S3::BucketPolicy")
            if policy["Bucket"] == {"Ref": key}
            for entry in policy["PolicyDocument"]["Statement"]
            if entry["Effect"] == "Deny"
        ]
        assert denial["Principal"] in ("*", {"AWS": "*"})
        assert denial["Action"] == "s3:*"
        assert denial["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert deployment.texts("data", denial["Resource"]) == {f"<data/{key}.Arn>", f"<data/{key}.Arn>/*"}


@pytest.mark.requirement("buckets")
def test_buckets_log_their_accesses_to_the_services_own_log_bucket(
    deployment: DeployedTemplates, environment: Environment
) -> None:
    for _, bucket in _buckets(deployment):
        if takes_logs(bucket):
            continue
        logging = bucket["Properties"]["LoggingConfiguration"]
        assert deployment.text("data", logging["DestinationBucketName"]) == deployment.output("LogBucketName")
        # And S3 may deliver them there
        (statement,) = [
            statement
            for policy in deployment["data"].properties_of("AWS::S3::BucketPolicy")
            if deployment.text("data", policy["Bucket"]) == deployment.output("LogBucketName")
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        ]
        assert statement["Action"] == "s3:PutObject"
        assert deployment.text("data", statement["Resource"]).endswith(f".Arn>/{logging['LogFilePrefix']}*")
        assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": environment.account}


@pytest.mark.requirement("buckets")
def test_old_versions_and_broken_uploads_go(deployment: DeployedTemplates) -> None:
    for key, bucket in _buckets(deployment):
        rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        everywhere = [rule for rule in rules if rule["Status"] == "Enabled" and "Prefix" not in rule]
        assert any("AbortIncompleteMultipartUpload" in rule for rule in everywhere), key
        if "VersioningConfiguration" in bucket["Properties"]:
            assert any("NoncurrentVersionExpiration" in rule for rule in everywhere), key
        if takes_logs(bucket):
            assert any("ExpirationInDays" in rule for rule in everywhere), key


@pytest.mark.requirement("buckets")
def test_bucket_names_carry_the_services_own_id(deployment: DeployedTemplates, service: str, subject: Subject) -> None:
    environment = deployment.environment
    others = {environment.unique_id(other) for _, other in subject.cases if other != service}

    assert re.fullmatch(r"[0-9a-z]{8}", environment.unique_id(service))
    assert environment.unique_id(service) not in others
    for _, bucket in _buckets(deployment):
        assert bucket["Properties"]["BucketName"].endswith(f"-{environment.unique_id(service)}")
        assert bucket["Properties"]["BucketName"].startswith(f"{environment.bucket_prefix}-")


@pytest.mark.requirement("ingest: background jobs")
def test_queues_keep_what_failed_and_take_tls_only(deployment: DeployedTemplates) -> None:
    for template in deployment:
        queues = template.of_type("AWS::SQS::Queue")
        denied = {
            json.dumps(queue)
            for policy in template.properties_of("AWS::SQS::QueuePolicy")
            for queue in policy["Queues"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        }
        assert denied == {json.dumps({"Ref": key}) for key in queues}
        assert {
            queue["Properties"]["MessageRetentionPeriod"]
            # Failed backups are reported for an hour: a bake counts their alarm.
            for key, queue in queues.items()
            if not key.startswith("BackupFailures")
        } <= {14 * 24 * 3600}
