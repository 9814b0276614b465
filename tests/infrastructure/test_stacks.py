"""What holds for every stack: outputs, tags, names, references, permissions, protection (P14, P15, P16, D0)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.infrastructure import synthesis
from tests.infrastructure.matrix import changed
from tests.infrastructure.synthesis import Deployment, Resource, Template

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


# What AWS Backup may reach that has an id at its end, whatever the service.
BACKUP: dict[str, set[str]] = {
    r"<data/Table\w*\.Arn>/backup/\*": {"dynamodb:DeleteBackup", "dynamodb:DescribeBackup"},
    r"arn:[^:]+:backup:[^:]+:[0-9]{12}:recovery-point:\*": {"backup:TagResource"},
    r"arn:[^:]+:events:[^:]+:[0-9]{12}:rule/AwsBackupManagedRule\*": {
        *("events:DeleteRule", "events:DescribeRule", "events:DisableRule", "events:EnableRule"),
        *("events:ListTargetsByRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"),
    },
    r"<data/Bucket\w*\.Arn>/\*": {
        *("s3:GetObject", "s3:GetObjectAcl", "s3:GetObjectTagging"),
        *("s3:GetObjectVersion", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging"),
    },
}


def _strings(node: Any) -> Iterator[str]:
    match node:
        case str():
            yield node
        case dict():
            for value in node.values():
                yield from _strings(value)
        case list():
            for value in node:
                yield from _strings(value)


def _references(node: Any) -> Iterator[str]:
    """Logical ids that a part of a template refers to."""
    match node:
        case {"Ref": str(name)} if not name.startswith("AWS::"):
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case dict():
            for value in node.values():
                yield from _references(value)
        case list():
            for value in node:
                yield from _references(value)


def _statements(template: Template) -> Iterator[tuple[str, Resource, dict[str, Any]]]:
    """Every statement of an identity policy: its logical id, its resource, itself."""
    for key, resource in template.resources.items():
        if resource["Type"] in {"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"}:
            document = resource["Properties"].get("PolicyDocument", {})
            for statement in document.get("Statement", []):
                yield key, resource, statement


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@cache
def _tag_property(resource_type: str) -> str | None:
    """By which property a type carries tags, as CloudFormation's own schema has it; None if it carries none."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    tagging = schema.get("tagging", {})
    if not tagging.get("taggable", schema.get("taggable", False)):
        return None
    return str(tagging.get("tagProperty", "/properties/Tags")).rpartition("/")[2]


def _tags(resource: Resource) -> dict[str, str] | None:
    """The tags of a resource, or None if it cannot carry any."""
    name = _tag_property(resource["Type"])
    if name is None:
        return None
    tags = resource.get("Properties", {}).get(name, [])
    return {tag["Key"]: tag["Value"] for tag in tags} if isinstance(tags, list) else dict(tags)


# P14


@pytest.mark.parametrize("stack", OUTPUTS)
def test_outputs_have_stable_ids(deployment: Deployment, stack: str) -> None:
    assert set(deployment[stack].outputs) == OUTPUTS[stack]


def test_outputs_export_nothing(deployment: Deployment) -> None:
    for template in deployment:
        for entry in template.raw.get("Outputs", {}).values():
            assert "Export" not in entry


def test_outputs_show_what_they_name(deployment: Deployment) -> None:
    # Given the kind of resource behind each output that is a reference
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


# P15


def test_everything_that_can_carry_tags_carries_all_of_them(deployment: Deployment) -> None:
    environment = deployment.environment
    for template in deployment:
        expected = {
            "Project": environment.tags.project,
            "Application": environment.tags.application,
            "Service": "foundation" if template.name == "foundation" else "items",
            "Environment": environment.name,
            "Owner": environment.tags.owner,
            "CostCenter": environment.tags.cost_center,
            "ManagedBy": "cdk",
        }
        for key, resource in template.resources.items():
            tags = _tags(resource)
            assert tags in (None, expected), f"{template.name}: {key} ({resource['Type']})"


# P16


def test_in_dev_what_is_stateful_goes_with_its_stack(dev: Deployment) -> None:
    # Given that elsewhere a rule of the gate asks for the contrary, and for keys here too
    for template in dev:
        for key, resource in template.resources.items():
            if resource["Type"] in STATEFUL - {"AWS::KMS::Key"} and not _takes_logs(resource):
                assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Delete", "Delete"), key


def _takes_logs(resource: Resource) -> bool:
    """True for a bucket that AWS writes access logs to: it has none of its own."""
    return resource["Type"] == "AWS::S3::Bucket" and "LoggingConfiguration" not in resource["Properties"]


def test_a_failed_creation_leaves_nothing_in_its_way(prod: Deployment) -> None:
    # Given what has a name of its own (a bucket), or can be made only once (a version of unchanged code)
    named = {"AWS::S3::Bucket", "AWS::Lambda::Version"}

    # Then what was created by a deployment that rolled back goes, so that the next one can create it
    for template in prod:
        for key, resource in template.resources.items():
            if resource["Type"] in named and not _takes_logs(resource):
                assert resource["DeletionPolicy"] == "RetainExceptOnCreate", f"{template.name}: {key}"


def test_a_failed_creation_deletes_nothing_undeletable(deployment: Deployment) -> None:
    # Given what CloudFormation cannot delete: protected tables, and buckets with logs in them
    for template in deployment:
        for key, resource in template.resources.items():
            protected = resource["Properties"].get("DeletionProtectionEnabled") is True
            # Then the rollback of its creation keeps it
            if protected or _takes_logs(resource):
                assert resource["DeletionPolicy"] == "Retain", f"{template.name}: {key}"


def test_staging_and_prod_retain_and_protect(staging: Deployment, prod: Deployment) -> None:
    for deployment in (staging, prod):
        assert deployment.environment.stateful.removal_policy == "retain"
        assert deployment.environment.stateful.termination_protection is True


# Names


def _ids(deployment: Deployment, stack: str) -> set[str]:
    """The ids of a stack, without those that change with what they hold (a version, a deployment)."""
    moving = ("AWS::Lambda::Version", "AWS::ApiGateway::Deployment")
    return {key for key, resource in deployment[stack].resources.items() if resource["Type"] not in moving}


def test_no_id_carries_the_name_of_the_environment_account_or_region(dev: Deployment) -> None:
    # Given dev under another name, elsewhere
    elsewhere = changed(dev.environment, {"name": "zebra", "account": "444444444444", "region": "us-east-2"})
    renamed = synthesis.deploy("zebra", elsewhere)

    # Then every resource has the id that it had
    for stack in ("foundation", "security", "data", "observability"):
        assert _ids(renamed, stack) == _ids(dev, stack)
    delivery = {"AWS::Logs::Delivery", "AWS::Logs::DeliveryDestination", "AWS::Logs::DeliverySource"}
    moved = {key for key in _ids(dev, "compute") if dev["compute"].resources[key]["Type"] in delivery}
    assert _ids(renamed, "compute") == _ids(dev, "compute") - moved


def test_environments_differ_in_no_id_of_what_they_share(dev: Deployment, prod: Deployment) -> None:
    # Given that prod has all that dev has, and scaling, WAF and more alarms besides
    for stack in ("foundation", "security", "data", "compute"):
        assert _ids(dev, stack) <= _ids(prod, stack)


# References


def test_resources_wait_for_each_other_in_no_circle(deployment: Deployment) -> None:
    for template in deployment:
        graph = {
            key: {*_references({name: part for name, part in resource.items() if name != "DependsOn"})}
            | set(_listed(resource.get("DependsOn", [])))
            for key, resource in template.resources.items()
        }
        known = set(template.resources) | set(template.raw.get("Parameters", {}))
        assert {name for names in graph.values() for name in names} <= known
        # Raises CycleError with the circle
        TopologicalSorter(graph).prepare()


def test_stacks_know_each_other_weakly_and_in_the_order_of_their_deployment(deployment: Deployment) -> None:
    # Given that an export would keep its stack from being changed
    order = ["foundation", "security", "data", "compute", "logs", "observability"]
    names = {template.stack_name: template.name for template in deployment}

    for template in deployment:
        assert "Fn::ImportValue" not in template.text()
        # Then a stack reads outputs of those before it alone
        read = set(re.findall(r'"Fn::GetStackOutput": \{"StackName": "([^"]+)"', template.text()))
        for stack_name in read:
            assert order.index(names[stack_name]) < order.index(template.name)


def test_weak_references_meet_an_output_that_is_there(deployment: Deployment) -> None:
    names = {template.stack_name: template for template in deployment}

    for template in deployment:
        pattern = r'"Fn::GetStackOutput": \{"StackName": "([^"]+)", "Region": "([^"]+)", "OutputName": "([^"]+)"'
        for stack_name, region, output in re.findall(pattern, template.text()):
            assert output in names[stack_name].raw["Outputs"]
            assert region == names[stack_name].region


def test_stacks_go_to_the_environments_account_and_region(deployment: Deployment) -> None:
    for template in deployment:
        assert template.account == deployment.environment.account
        if template.name != "logs":
            assert template.region == deployment.environment.region
        assert template.stack_name.startswith(f"{deployment.environment.name}-")


# D0


@pytest.mark.parametrize("deployment", ["dev", "dev, Frankfurt", "dev, GovCloud"], indirect=True)
def test_arns_are_those_of_the_regions_own_partition(deployment: Deployment) -> None:
    # Given a region of another partition
    partition = "aws-us-gov" if "gov" in deployment.environment.region else "aws"

    for template in deployment:
        for text in _strings(template.raw["Resources"]):
            for found in re.findall(r"\barn:([^:<{]+):", text):
                # Then no ARN was written for this one
                assert found == partition, f"{template.name}: {text}"


@pytest.mark.parametrize("deployment", ["dev, Frankfurt"], indirect=True)
def test_another_region_leaves_no_trace_of_the_first(deployment: Deployment) -> None:
    for template in deployment:
        if template.name in {"security", "observability", "foundation"}:
            # The pipeline's bus stays where the pipeline is.
            bus = f"arn:aws:events:us-east-1:{deployment.environment.tools_account}:event-bus/slipway-delivery"
            assert "us-east-1" not in template.text().replace(bus, "")


# Permissions


def test_no_policy_is_inline_or_denies(deployment: Deployment) -> None:
    for template in deployment:
        assert not template.of_type("AWS::IAM::Policy")
        for key, role in template.of_type("AWS::IAM::Role").items():
            assert "Policies" not in role["Properties"], key
        for _, _, statement in _statements(template):
            assert statement["Effect"] == "Allow"


def test_a_resource_with_a_wildcard_in_it_leaves_an_id_open_and_nothing_else(deployment: Deployment) -> None:
    # Given what may have an id at its end that is not known before: the function's objects, and for the pipeline's
    # steps a stack of the environment and an item of the API
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
        **BACKUP,
    }

    for template in deployment:
        for key, _, statement in _statements(template):
            for resource in _listed(statement["Resource"]):
                text = deployment.text(template.name, resource)
                if "*" in text and text != "*":
                    actions = [may for pattern, may in allowed.items() if re.fullmatch(pattern, text)]
                    assert len(actions) == 1, f"{key}: {text}"
                    assert set(_listed(statement["Action"])) <= actions[0], key


def test_nobody_outside_is_let_in(deployment: Deployment) -> None:
    # Given every policy on a resource
    for template in deployment:
        for resource_type in (
            "AWS::S3::BucketPolicy",
            "AWS::SQS::QueuePolicy",
            "AWS::SNS::TopicPolicy",
            "AWS::SecretsManager::ResourcePolicy",
        ):
            for properties in template.properties_of(resource_type):
                document = properties.get("PolicyDocument") or properties["ResourcePolicy"]
                for statement in document["Statement"]:
                    # Then what allows, allows services of AWS under a condition
                    if statement["Effect"] == "Allow":
                        assert list(statement["Principal"]) == ["Service"], template.name
                        assert statement["Condition"], template.name


def test_topics_take_tls_only(deployment: Deployment) -> None:
    for template in deployment:
        topics = template.of_type("AWS::SNS::Topic")
        denied = {
            json.dumps(topic)
            for policy in template.properties_of("AWS::SNS::TopicPolicy")
            for topic in policy["Topics"]
            for statement in policy["PolicyDocument"]["Statement"]
            if statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        }
        assert denied == {json.dumps({"Ref": key}) for key in topics}


def test_what_publishes_under_the_key_may_make_data_keys(deployment: Deployment) -> None:
    # Given who writes to queues, topics and buckets under the key
    writes = {"sqs:SendMessage", "sns:Publish", "s3:PutObject"}

    for template in deployment:
        roles: dict[str, set[str]] = {}
        for _, resource, statement in _statements(template):
            for role in resource["Properties"]["Roles"]:
                roles.setdefault(role["Ref"], set()).update(_listed(statement["Action"]))
        for role, actions in roles.items():
            # Then whoever does may also make and open data keys
            if actions & writes:
                assert {"kms:GenerateDataKey", "kms:Decrypt"} <= actions, f"{template.name}: {role}"
