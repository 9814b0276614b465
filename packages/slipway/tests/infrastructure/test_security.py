"""The key, the secrets, and the encryption of everything stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from slipway.testing.templates import KEPT, DeployedTemplates

# Types that store data, and where their templates name the key
_KEY_OF: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "AWS::DynamoDB::Table": lambda table: table["SSESpecification"]["KMSMasterKeyId"],
    "AWS::S3::Bucket": lambda bucket: bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0][
        "ServerSideEncryptionByDefault"
    ]["KMSMasterKeyID"],
    "AWS::SQS::Queue": lambda queue: queue["KmsMasterKeyId"],
    "AWS::SNS::Topic": lambda topic: topic["KmsMasterKeyId"],
    "AWS::Logs::LogGroup": lambda group: group["KmsKeyId"],
    "AWS::SecretsManager::Secret": lambda secret: secret["KmsKeyId"],
    "AWS::Lambda::Function": lambda function: function["KmsKeyArn"],
}


@pytest.mark.requirement("its own KMS key")
def test_service_has_its_own_rotating_retained_key(deployment: DeployedTemplates) -> None:
    # Given the only key of the service
    (key,) = deployment["security"].of_type("AWS::KMS::Key").values()

    # Then it rotates, has the configured deletion window, and is retained
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["PendingWindowInDays"] == deployment.environment.stateful.key_deletion_window_days
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) in KEPT
    assert sum(len(template.of_type("AWS::KMS::Key")) for template in deployment) == 1


@pytest.mark.requirement("encryption at rest")
@pytest.mark.parametrize("resource_type", _KEY_OF)
def test_stored_data_is_encrypted_with_the_services_key(deployment: DeployedTemplates, resource_type: str) -> None:
    # Given every resource of a type that stores the service's data, in each of its stacks
    stored = [
        (template.name, properties)
        for template in deployment
        if template.name != "foundation"
        for properties in template.properties_of(resource_type)
        # AWS delivers access logs only to buckets with SSE-S3, and an experiment's faults are not data
        if not properties.get("BucketName", "").startswith(("cf-serverless-logs-", "cf-serverless-faults-"))
    ]

    # Then it uses the service's key
    assert stored
    for stack, properties in stored:
        assert deployment.text(stack, _KEY_OF[resource_type](properties)) == deployment.output("KeyArn")


@pytest.mark.requirement("encryption at rest")
def test_only_log_buckets_are_encrypted_by_s3_itself(deployment: DeployedTemplates) -> None:
    algorithms = {
        bucket["BucketName"].startswith("cf-serverless-logs-"): bucket["BucketEncryption"][
            "ServerSideEncryptionConfiguration"
        ][0]["ServerSideEncryptionByDefault"]["SSEAlgorithm"]
        for bucket in deployment["data"].properties_of("AWS::S3::Bucket")
    }

    assert algorithms == {True: "AES256", False: "aws:kms"}


@pytest.mark.requirement("secrets")
def test_secrets_are_generated_with_64_characters(deployment: DeployedTemplates) -> None:
    secrets = deployment["security"].properties_of("AWS::SecretsManager::Secret")

    assert len(secrets) == 2
    for secret in secrets:
        assert "SecretString" not in secret
        generate = secret["GenerateSecretString"]
        assert generate["PasswordLength"] == 64
        assert generate["ExcludePunctuation"] is True
        assert generate["SecretStringTemplate"] == "{}"
    assert {secret["GenerateSecretString"]["GenerateStringKey"] for secret in secrets} == {"key", "header"}


@pytest.mark.requirement("secrets", "an edge secret that rotates at the origin only")
def test_the_cursor_secret_is_rotated_as_often_as_configured(deployment: DeployedTemplates) -> None:
    # Given the one rotation schedule
    schedule = deployment["security"].only("AWS::SecretsManager::RotationSchedule")

    # Then it rotates the cursor secret with the rotation function
    assert deployment.text("security", schedule["SecretId"]) == deployment.output("CursorSecretArn")
    assert deployment.text("security", schedule["RotationLambdaARN"]) == deployment.output("RotationFunctionArn")
    assert schedule["RotationRules"] == {"AutomaticallyAfterDays": deployment.environment.secret_rotation_days}


@pytest.mark.requirement("secrets")
def test_only_secrets_manager_may_call_the_rotation(deployment: DeployedTemplates) -> None:
    permission = deployment["security"].only("AWS::Lambda::Permission")

    assert permission["Principal"] == "secretsmanager.amazonaws.com"
    assert permission["SourceAccount"] == deployment.environment.account
    assert "SourceArn" not in permission
    assert deployment.text("security", permission["FunctionName"]) == deployment.output("RotationFunctionArn")


@pytest.mark.requirement("a permission that is created after the resource that needs it")
def test_the_first_rotation_waits_for_the_permission(deployment: DeployedTemplates) -> None:
    # Given the schedule; Secrets Manager rotates as soon as it is created
    (schedule,) = deployment["security"].of_type("AWS::SecretsManager::RotationSchedule").values()
    permissions = deployment["security"].of_type("AWS::Lambda::Permission")

    # Then the permission exists before it
    assert set(permissions) <= set(schedule["DependsOn"])


@pytest.mark.requirement("secrets")
def test_templates_and_variables_have_no_secret_values(deployment: DeployedTemplates) -> None:
    # Given every dynamic reference of every template
    for template in deployment:
        assert 'SecretString":' not in template.text().replace("GenerateSecretString", "")
        for handler, function in deployment.functions().items():
            for name, value in function["Environment"]["Variables"].items():
                assert "resolve:" not in str(value), f"{handler}: {name}"
    # Then only compute has some: the edge's header, where it is sent and checked, which CloudFormation resolves at
    # deployment
    resolving = [template.name for template in deployment if "{{resolve:" in template.text()]
    assert resolving == ["compute"]
    # And the public parameter with AWS FIS's extension, for both functions with traffic
    extensions = 0 if deployment.environment.resilience is None else 2
    assert deployment["compute"].text().count("{{resolve:ssm:/aws/service/fis/") == extensions
    assert deployment["compute"].text().count("{{resolve:") == 1 + deployment.environment.waf.enabled + extensions
