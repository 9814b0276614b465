"""Every stack: names, outputs, tags, references, permissions, and the resources that outlive it."""

from __future__ import annotations

import json
import re
from graphlib import TopologicalSorter
from itertools import combinations

import botocore.session
import pytest

from slipway.delivery.names import EDGE_REGION
from slipway.settings import Environment
from slipway.settings.model import RemovalPolicy
from slipway.settings.protection import PROTECTED_TYPES
from slipway.testing.contract.reading import (
    BACKUP,
    functions,
    holds_faults,
    ids,
    listed,
    only_reads_for_drift,
    references,
    statements,
    strings,
    tags,
    takes_logs,
)
from slipway.testing.templates import KEPT, DeployedTemplates

STACKS = ["foundation", "security", "data", "firewall", "compute", "logs", "observability"]
"""In deployment order."""

OF_THE_EDGE = {"firewall", "logs"}
"""Stacks of a distribution, in CloudFront's own region, if its service is in another one."""

STATEFUL = {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}


@pytest.mark.requirement("outputs")
def test_outputs_name_what_the_service_has(deployment: DeployedTemplates) -> None:
    # Given the outputs that people and tools look for, by type of resource
    found = {name for template in deployment for name in template.outputs}
    wanted = {"KeyId", "KeyArn", "AlarmTopicArn", "DashboardUrl"}
    if deployment["data"].of_type("AWS::DynamoDB::Table"):
        wanted |= {"TableName", "TableArn"}
    if deployment["data"].of_type("AWS::S3::Bucket"):
        wanted |= {"BucketName", "LogBucketName"}
    if {"AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api"} & {
        resource["Type"] for resource in deployment["compute"].resources.values()
    }:
        wanted |= {"ApiId", "ApiEndpoint", "HealthEndpoint"}

    assert wanted <= found


@pytest.mark.requirement("outputs")
def test_outputs_export_nothing(deployment: DeployedTemplates) -> None:
    for template in deployment:
        for entry in template.raw.get("Outputs", {}).values():
            assert "Export" not in entry


@pytest.mark.requirement("outputs")
def test_outputs_that_name_a_function_name_its_alias_live(deployment: DeployedTemplates) -> None:
    # Given that Secrets Manager calls a function without alias, and that no function of the security stack serves an
    # API
    for name in deployment["compute"].outputs:
        if name.endswith("FunctionArn"):
            alias = deployment.behind(deployment.output(name))
            assert (alias["Type"], alias["Properties"]["Name"]) == ("AWS::Lambda::Alias", "live"), name


@pytest.mark.requirement("outputs")
def test_endpoints_are_those_of_the_api(deployment: DeployedTemplates) -> None:
    if "ApiId" in deployment["compute"].outputs:
        host = f"{deployment.output('ApiId')}.execute-api.{deployment.environment.region}."
        endpoint = deployment.output("ApiEndpoint")
        assert endpoint.startswith(f"https://{host}")
        assert endpoint.endswith("/")
        assert deployment.output("HealthEndpoint") == f"{endpoint}health"


@pytest.mark.requirement("tags")
def test_everything_that_can_carry_tags_carries_all(deployment: DeployedTemplates, service: str) -> None:
    environment = deployment.environment
    for template in deployment:
        expected = {
            "Project": environment.tags.project,
            "Application": environment.tags.application,
            "Service": "foundation" if template.name == "foundation" else service,
            "Environment": environment.name,
            "Owner": environment.tags.owner,
            "CostCenter": environment.tags.cost_center,
            "ManagedBy": "cdk",
        }
        for key, resource in template.resources.items():
            found = tags(resource)
            # Consoles show a name for what has none.
            if resource["Type"] == "AWS::FIS::ExperimentTemplate" and found is not None:
                found.pop("Name")
            assert found in (None, expected), f"{template.name}: {key} ({resource['Type']})"


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_what_is_stateful_stays_unless_disposable(deployment: DeployedTemplates, environment: Environment) -> None:
    gone = environment.stateful.removal_policy is RemovalPolicy.DESTROY
    for template in deployment:
        for key, resource in template.resources.items():
            if resource["Type"] in STATEFUL and not takes_logs(resource) and not holds_faults(resource):
                policies = (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
                deleted = gone and resource["Type"] != "AWS::KMS::Key"
                assert policies == ("Delete", "Delete") if deleted else policies in KEPT, key


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_stateful_stacks_are_protected_as_configured(deployment: DeployedTemplates, environment: Environment) -> None:
    for name in ("security", "data"):
        assert deployment[name].termination_protection is environment.stateful.termination_protection


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_no_update_may_take_what_outlives_its_stack(deployment: DeployedTemplates) -> None:
    # Given the resources that the templates retain, in the stacks with the policy
    kept = {
        resource["Type"]
        for stack in ("security", "data")
        for resource in deployment[stack].resources.values()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }

    # Versions are kept for rollbacks, and replaced by each deployment; logs expire after their retention
    assert kept - {"AWS::Lambda::Version", "AWS::Logs::LogGroup"} <= set(PROTECTED_TYPES)


@pytest.mark.requirement("a failed first deployment that cannot be repeated, because its names are taken")
def test_a_failed_creation_leaves_nothing_in_its_way(deployment: DeployedTemplates) -> None:
    # Given resources with a fixed name (a bucket), or that can be created only once (a version of unchanged code)
    named = {"AWS::S3::Bucket", "AWS::Lambda::Version"}
    for template in deployment:
        for key, resource in template.resources.items():
            kept = resource.get("DeletionPolicy", "Delete") != "Delete"
            if resource["Type"] in named and kept and not takes_logs(resource):
                assert resource["DeletionPolicy"] == "RetainExceptOnCreate", f"{template.name}: {key}"


@pytest.mark.requirement("a first deployment whose rollback cannot delete protected resources")
def test_a_failed_creation_deletes_nothing_undeletable(deployment: DeployedTemplates) -> None:
    # Given resources that CloudFormation cannot delete: protected tables, and buckets with logs in them
    for template in deployment:
        for key, resource in template.resources.items():
            if resource.get("Properties", {}).get("DeletionProtectionEnabled") is True or takes_logs(resource):
                assert resource["DeletionPolicy"] == "Retain", f"{template.name}: {key}"


def test_environments_differ_in_no_id_of_what_they_share(deployments: list[DeployedTemplates]) -> None:
    # Given that an environment may have more of a type than another (scaling, alarms), and none of another's
    for one, other in combinations(deployments, 2):
        for stack in STACKS[:-1]:
            if stack in one.templates and stack in other.templates:
                for resource_type in {resource["Type"] for resource in one[stack].resources.values()}:
                    # Then one of the two has everything that the other has, under the same ids
                    found = [
                        {key for key in ids(each, stack) if each[stack].resources[key]["Type"] == resource_type}
                        for each in (one, other)
                    ]
                    assert found[0] <= found[1] or found[1] <= found[0], (stack, resource_type)


def test_resources_wait_for_each_other_in_no_circle(deployment: DeployedTemplates) -> None:
    for template in deployment:
        graph = {
            key: {*references({name: part for name, part in resource.items() if name != "DependsOn"})}
            | set(listed(resource.get("DependsOn", [])))
            for key, resource in template.resources.items()
        }
        known = set(template.resources) | set(template.raw.get("Parameters", {}))
        assert {name for names in graph.values() for name in names} <= known
        # Raises CycleError with the circle
        TopologicalSorter(graph).prepare()


def test_stacks_know_each_other_weakly_and_in_order(deployment: DeployedTemplates) -> None:
    # Given that an export would keep its stack from being changed
    names = {template.stack_name: template.name for template in deployment}
    for template in deployment:
        assert "Fn::ImportValue" not in template.text()
        # Then a stack reads outputs of those before it alone
        for stack_name in re.findall(r'"Fn::GetStackOutput": \{"StackName": "([^"]+)"', template.text()):
            assert STACKS.index(names[stack_name]) < STACKS.index(template.name)


def test_weak_references_meet_an_output_that_is_there(deployment: DeployedTemplates) -> None:
    names = {template.stack_name: template for template in deployment}
    pattern = r'"Fn::GetStackOutput": \{"StackName": "([^"]+)", "Region": "([^"]+)", "OutputName": "([^"]+)"'
    for template in deployment:
        for stack_name, region, output in re.findall(pattern, template.text()):
            assert output in names[stack_name].raw["Outputs"]
            assert region == names[stack_name].region


def test_stacks_go_to_the_environments_account_and_region(deployment: DeployedTemplates) -> None:
    for template in deployment:
        assert template.account == deployment.environment.account
        at_the_edge = template.name in OF_THE_EDGE
        assert template.region == (EDGE_REGION if at_the_edge else deployment.environment.region)
        assert template.stack_name.startswith(f"{deployment.environment.name}-")


@pytest.mark.requirement("artifacts")
def test_arns_are_those_of_the_regions_own_partition(deployment: DeployedTemplates, environment: Environment) -> None:
    partition = botocore.session.get_session().get_partition_for_region(environment.region)
    for template in deployment:
        for text in strings(template.raw["Resources"]):
            for found in re.findall(r"\barn:([^:<{]+):", text):
                assert found == partition, f"{template.name}: {text}"


@pytest.mark.requirement("functions")
def test_no_policy_is_inline_or_denies(deployment: DeployedTemplates) -> None:
    for template in deployment:
        assert not template.of_type("AWS::IAM::Policy")
        for key, role in template.of_type("AWS::IAM::Role").items():
            assert "Policies" not in role["Properties"], key
        for _, _, statement in statements(template):
            assert statement["Effect"] == "Allow"


@pytest.mark.requirement("functions")
def test_a_wildcard_leaves_an_id_open_and_nothing_else(deployment: DeployedTemplates, environment: Environment) -> None:
    # Given the resources whose ARN may end with an id that is only known after the deployment
    place = f"{environment.region}:{environment.account}"
    allowed = {
        r"arn:[^:]+:s3:::[a-z0-9.-]+/[^*]+/\*": {"s3:DeleteObject", "s3:GetObject", "s3:PutObject"},
        rf"arn:[^:]+:cloudformation:{place}:stack/{environment.name}-[a-z0-9-]+/\*": {
            "cloudformation:DescribeStacks",
            "cloudformation:GetStackPolicy",
            "cloudformation:SetStackPolicy",
            "cloudformation:UpdateTerminationProtection",
        },
        rf"arn:[^:]+:execute-api:{place}:<compute/\w+>/\w+/[A-Z]+/[^*]+/\*": {"execute-api:Invoke"},
        r"arn:<AWS::Partition>:s3:::[a-z0-9.-]+-faults-[0-9a-f]+/faults/\*": {
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:PutObject",
        },
        rf"arn:[^:]+:fis:{place}:experiment/\*": {
            "fis:GetExperiment",
            "fis:StartExperiment",
            "fis:StopExperiment",
        },
        **BACKUP,
    }

    for template in deployment:
        for key, _, statement in statements(template):
            for text in deployment.texts(template.name, statement["Resource"]):
                if "*" in text and text != "*" and not only_reads_for_drift(key, statement):
                    actions = [may for pattern, may in allowed.items() if re.fullmatch(pattern, text)]
                    assert len(actions) == 1, f"{key}: {text}"
                    assert set(listed(statement["Action"])) <= actions[0], f"{key}: {text}"


def test_nobody_outside_is_let_in(deployment: DeployedTemplates) -> None:
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
                    # Then each statement that allows something only allows AWS services, under a condition
                    if statement["Effect"] == "Allow":
                        assert list(statement["Principal"]) == ["Service"], template.name
                        assert statement["Condition"], template.name


def test_topics_take_tls_only(deployment: DeployedTemplates) -> None:
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


@pytest.mark.requirement(
    "encryption at rest",
    "a writer that may not create data keys, so that an alarm's message is lost",
    "a reader that may not decrypt with the key",
)
def test_readers_can_decrypt_and_writers_can_make_data_keys(deployment: DeployedTemplates) -> None:
    reads = {"s3:GetObject", "sqs:ReceiveMessage", "secretsmanager:GetSecretValue", "dynamodb:GetRecords"}
    writes = {"s3:PutObject", "sqs:SendMessage", "sns:Publish"}
    for function in functions(deployment):
        actions = {action for statement in function.statements() for action in listed(statement["Action"])}
        if actions & reads:
            assert "kms:Decrypt" in actions, function.reference
        if actions & writes:
            assert {"kms:GenerateDataKey", "kms:Decrypt"} <= actions, function.reference


@pytest.mark.requirement("the API", "several logging roles of API Gateway")
def test_api_gateways_logging_role_is_made_in_the_foundation_alone(deployment: DeployedTemplates) -> None:
    # Given that each API that makes one overwrites the last
    owners = [template.name for template in deployment if template.of_type("AWS::ApiGateway::Account")]

    assert owners == ["foundation"]
