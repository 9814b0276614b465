"""Properties of every stack: outputs, tags, names, references, permissions, protection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import changed
from slipway.testing.contract.reading import BACKUP, only_reads_for_drift
from slipway.testing.templates import DeployedTemplates, Resource, Template

OUTPUTS = {
    "foundation": {"ApiGatewayLoggingRoleArn"},
    "security": {"KeyArn", "KeyId", "CursorSecretArn", "OriginSecretArn", "RotationFunctionArn"},
    "data": {"TableName", "TableArn", "IdempotencyTableName", "BucketName", "LogBucketName"},
    "compute": {
        "ApiEndpoint",
        "HealthEndpoint",
        "ApiId",
        "ApiFunctionArn",
        "StreamFunctionArn",
        "ApiHookFunctionArn",
        "StreamHookFunctionArn",
        "NotificationTopicArn",
        "DeadLetterQueueUrl",
        "DistributionDomain",
        "DistributionId",
    },
    "observability": {"AlarmTopicArn", "DashboardUrl"},
}

STATEFUL = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}


def _statements(template: Template) -> Iterator[tuple[str, Resource, dict[str, Any]]]:
    """Yield every statement of an identity policy, with the policy's logical id and resource."""
    for key, resource in template.resources.items():
        if resource["Type"] in {"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"}:
            document = resource["Properties"].get("PolicyDocument", {})
            for statement in document.get("Statement", []):
                yield key, resource, statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


OUTPUTS_OF_EXPERIMENTS = {
    "compute": {"FaultBucketName"},
    "observability": {"SlowFunctionsExperiment", "FailingReadersExperiment", "FailingApiExperiment"},
}
"""Additional outputs of an environment with `resilience`."""


@pytest.mark.requirement("outputs")
@pytest.mark.parametrize("stack", OUTPUTS)
def test_outputs_have_stable_ids(deployment: DeployedTemplates, stack: str) -> None:
    experiments = {} if deployment.environment.resilience is None else OUTPUTS_OF_EXPERIMENTS
    assert set(deployment[stack].outputs) == OUTPUTS[stack] | experiments.get(stack, set())


@pytest.mark.requirement("outputs")
def test_outputs_have_the_named_values(deployment: DeployedTemplates) -> None:
    # Given the type of resource behind each output that is a reference
    kinds = {
        "KeyId": "AWS::KMS::Key",
        "KeyArn": "AWS::KMS::Key",
        "CursorSecretArn": "AWS::SecretsManager::Secret",
        "OriginSecretArn": "AWS::SecretsManager::Secret",
        "RotationFunctionArn": "AWS::Lambda::Function",
        "TableName": "AWS::DynamoDB::Table",
        "TableArn": "AWS::DynamoDB::Table",
        "IdempotencyTableName": "AWS::DynamoDB::Table",
        "BucketName": "AWS::S3::Bucket",
        "LogBucketName": "AWS::S3::Bucket",
        "ApiId": "AWS::ApiGateway::RestApi",
        "ApiFunctionArn": "AWS::Lambda::Alias",
        "StreamFunctionArn": "AWS::Lambda::Alias",
        "ApiHookFunctionArn": "AWS::Lambda::Alias",
        "StreamHookFunctionArn": "AWS::Lambda::Alias",
        "NotificationTopicArn": "AWS::SNS::Topic",
        "DeadLetterQueueUrl": "AWS::SQS::Queue",
        "DistributionDomain": "AWS::CloudFront::Distribution",
        "DistributionId": "AWS::CloudFront::Distribution",
        "AlarmTopicArn": "AWS::SNS::Topic",
    }

    for name, kind in kinds.items():
        assert deployment.behind(deployment.output(name))["Type"] == kind, name
    # And the endpoints are those of the stage
    (stage,) = deployment["compute"].of_type("AWS::ApiGateway::Stage")
    host = f"{deployment.output('ApiId')}.execute-api.{deployment.environment.region}."
    endpoint = deployment.output("ApiEndpoint")
    assert endpoint.startswith(f"https://{host}")
    assert endpoint.endswith(f"/<compute/{stage}>/")
    assert deployment.output("HealthEndpoint") == f"{endpoint}health"


def test_stateful_resources_in_dev_are_deleted_with_their_stack(dev: DeployedTemplates) -> None:
    # In other environments a gate rule requires the opposite, and for keys here too
    for template in dev:
        for key, resource in template.resources.items():
            if resource["Type"] in STATEFUL - {"AWS::KMS::Key"} and not _takes_logs(resource):
                assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Delete"), key


def _takes_logs(resource: Resource) -> bool:
    """Return True for a bucket that AWS writes access logs to: it has no access log itself."""
    return resource["Type"] == "AWS::S3::Bucket" and "LoggingConfiguration" not in resource["Properties"]


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_staging_and_prod_retain_and_protect(staging: DeployedTemplates, prod: DeployedTemplates) -> None:
    for deployment in (staging, prod):
        assert deployment.environment.stateful.removal_policy == "retain"
        assert deployment.environment.stateful.termination_protection is True


# --- Names ---


def _ids(deployment: DeployedTemplates, stack: str) -> set[str]:
    """Return the ids of a stack, except those that depend on content (a version, a deployment)."""
    moving = ("AWS::Lambda::Version", "AWS::ApiGateway::Deployment")
    return {key for key, resource in deployment[stack].resources.items() if resource["Type"] not in moving}


def test_no_id_contains_environment_account_or_region(dev: DeployedTemplates) -> None:
    # Given dev under another name, in another account and region
    elsewhere = changed(dev.environment, {"name": "zebra", "account": "444444444444", "region": "us-east-2"})
    renamed = synthesis.deploy("zebra", elsewhere)

    # Then every resource keeps its id
    for stack in ("foundation", "security", "data", "observability"):
        assert _ids(renamed, stack) == _ids(dev, stack)
    delivery = {"AWS::Logs::Delivery", "AWS::Logs::DeliveryDestination", "AWS::Logs::DeliverySource"}
    moved = {key for key in _ids(dev, "compute") if dev["compute"].resources[key]["Type"] in delivery}
    assert _ids(renamed, "compute") == _ids(dev, "compute") - moved


# --- References ---


@pytest.mark.parametrize("deployment", ["dev, Frankfurt"], indirect=True)
def test_templates_for_another_region_do_not_mention_the_first(deployment: DeployedTemplates) -> None:
    for template in deployment:
        if template.name in {"security", "observability", "foundation"}:
            # The pipeline's bus stays in the pipeline's region
            bus = f"arn:aws:events:us-east-1:{deployment.environment.tools_account}:event-bus/slipway-delivery"
            assert "us-east-1" not in template.text().replace(bus, "")


# --- Permissions ---


@pytest.mark.requirement("functions")
def test_wildcard_in_a_resource_covers_only_an_id(deployment: DeployedTemplates) -> None:
    # Given the ARNs that may end in an unknown id: the function's objects and, for the pipeline's steps, a stack of the
    # environment and an item of the API
    place = f"{deployment.environment.region}:{deployment.environment.account}"
    allowed = {
        r"arn:[^:]+:s3:::cf-serverless-[0-9a-f]{8}/items/\*": {"s3:PutObject"},
        rf"arn:[^:]+:cloudformation:{place}:stack/{deployment.environment.name}-[a-z-]+/\*": {
            "cloudformation:DescribeStacks",
            "cloudformation:GetStackPolicy",
            "cloudformation:SetStackPolicy",
            "cloudformation:UpdateTerminationProtection",
        },
        rf"arn:[^:]+:execute-api:{place}:<compute/\w+>/live/(PUT|DELETE)/items/\*": {"execute-api:Invoke"},
        r"arn:<AWS::Partition>:s3:::cf-serverless-faults-[0-9a-f]{8}/faults/\*": {
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
        },
        rf"arn:[^:]+:fis:{place}:experiment/\*": {"fis:GetExperiment", "fis:StartExperiment", "fis:StopExperiment"},
        **BACKUP,
    }

    for template in deployment:
        for key, _, statement in _statements(template):
            for resource in _listed(statement["Resource"]):
                text = deployment.text(template.name, resource)
                if "*" in text and text != "*" and not only_reads_for_drift(key, statement):
                    actions = [may for pattern, may in allowed.items() if re.fullmatch(pattern, text)]
                    assert len(actions) == 1, f"{key}: {text}"
                    assert set(_listed(statement["Action"])) <= actions[0], key
