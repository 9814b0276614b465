"""Rows that are about all services together, or that only AWS would show at a deployment or in use.

Each test is named by a row of `docs/requirements.md`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from app import SERVICES
from services.ingest.infrastructure import Ingest
from services.items.infrastructure import Items
from services.processing.infrastructure import Processing
from slipway.service import Service
from slipway.settings import Environment
from slipway.settings.model import Provisioned
from slipway.settings.protection import PROTECTED_TYPES
from tests.infrastructure import synthesis
from tests.infrastructure.matrix import SPECIMEN, changed
from tests.infrastructure.synthesis import Deployment

ENVIRONMENTS = ("dev", "staging", "prod")
HTTP = [Processing]
REST = [Items, Ingest]

# Every function of the configuration whose executions may be reserved.
RESERVING = {
    "items": ("api", "stream"),
    "ingest": ("api", "processor", "worker"),
    "processing": ("api", "worker"),
}


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def _all(environment: str) -> list[Deployment]:
    """Every service in an environment."""
    return [synthesis.deployment(environment, service) for service in SERVICES]


def _functions(deployment: Deployment) -> list[tuple[str, str, dict[str, Any]]]:
    """Stack, logical id and properties of every function."""
    return [
        (template.name, key, resource["Properties"])
        for template in deployment
        for key, resource in template.of_type("AWS::Lambda::Function").items()
    ]


# P4, C6, G7, I9: "staging is prod's shape at the smaller size"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_staging_has_the_shape_of_prod_and_is_no_larger(service: type[Service]) -> None:
    def capacity(environment: Environment) -> Provisioned:
        found = getattr(environment.services, service.name).capacity
        assert isinstance(found, Provisioned)
        return found

    staging, prod = capacity(SPECIMEN.environment("staging")), capacity(SPECIMEN.environment("prod"))
    for name in ("read", "write", "index_read", "index_write", "maximum"):
        assert getattr(staging, name) <= getattr(prod, name), name


def test_figures_of_ingests_capacity() -> None:
    capacity = SPECIMEN.environment("prod").services.ingest.capacity
    assert isinstance(capacity, Provisioned)
    assert (capacity.read, capacity.write, capacity.index_read, capacity.index_write) == (5, 5, 5, 5)
    assert (capacity.maximum, capacity.target_utilization_percent, capacity.cooldown_seconds) == (100, 70, 60)


# P6


def test_all_services_together_leave_a_hundred_executions_unreserved(environment: str) -> None:
    # Given the default quota of 1000 an account, of which Lambda keeps 100 unreserved
    reserved = sum(
        properties.get("ReservedConcurrentExecutions", 0)
        for deployment in _all(environment)
        for _, _, properties in _functions(deployment)
    )

    # Then one account may hold all services
    assert 0 < reserved <= 900


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_deploys_to_an_account_of_ten_executions(service: type[Service]) -> None:
    # Given a new account, in which nothing can be reserved, and the configuration that says so
    assert set(RESERVING) == {other.name for other in SERVICES}
    environment = changed(
        SPECIMEN.environment("dev"),
        {f"services.{service.name}.{name}.reserved_concurrency": None for name in RESERVING[service.name]},
    )

    # Then nothing is
    deployment = synthesis.deploy("dev, new account", environment, service)
    for _, key, properties in _functions(deployment):
        assert "ReservedConcurrentExecutions" not in properties, key
    for mapping in deployment["compute"].properties_of("AWS::Lambda::EventSourceMapping"):
        assert "ScalingConfig" not in mapping


def test_retries_and_failure_destinations_stand_on_what_is_called_asynchronously_alone(environment: str) -> None:
    # Given what CodeDeploy, Secrets Manager, CloudFormation and the API of `processing` call asynchronously
    asynchronous = {"hooks", "rotation", "test_user"}
    for deployment in _all(environment):
        name = json.dumps(deployment["security"].stack_name)
        for stack, key, properties in _functions(deployment):
            module = properties["Handler"].split(".")[-2]
            expected = module in asynchronous or ("processing" in name and module == "worker")
            configured = [
                config
                for config in deployment[stack].properties_of("AWS::Lambda::EventInvokeConfig")
                if config["FunctionName"] == {"Ref": key}
            ]
            # Then these have both on the function and both aliases, and nothing that is called otherwise has any
            assert len(configured) == (3 if expected else 0), properties["Handler"]
            assert "DeadLetterConfig" not in properties


# P11


@pytest.mark.parametrize("service", HTTP, ids=lambda service: service.name)
def test_what_stands_behind_an_http_api_traces_itself(service: type[Service], environment: str) -> None:
    # Given that HTTP APIs have no X-Ray, and refuse to be asked for it
    deployment = synthesis.deployment(environment, service)
    for stage in deployment["compute"].properties_of("AWS::ApiGatewayV2::Stage"):
        assert "TracingEnabled" not in stage

    # Then the functions begin the trace
    assert {properties["TracingConfig"]["Mode"] for _, _, properties in _functions(deployment)} == {"Active"}


@pytest.mark.parametrize("service", REST, ids=lambda service: service.name)
def test_no_rest_method_waits_longer_than_the_gateway_does(service: type[Service], environment: str) -> None:
    # Given that a REST API answers after 29 s at the latest, whatever its function may take
    methods = synthesis.deployment(environment, service)["compute"].properties_of("AWS::ApiGateway::Method")

    assert methods
    for method in methods:
        assert method["Integration"].get("TimeoutInMillis", 29_000) <= 29_000


def test_no_http_answer_opens_itself_to_every_origin_but_devs(environment: str) -> None:
    deployment = synthesis.deployment(environment, Processing)
    origins = deployment["compute"].only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]["AllowOrigins"]
    bucket = deployment.behind(deployment.output("BucketName"))["Properties"]["CorsConfiguration"]["CorsRules"]

    assert ("*" in origins) is (environment == "dev")
    for rule in bucket:
        assert ("*" in rule["AllowedOrigins"]) is (environment == "dev")


# P16


def test_whatever_outlives_its_stack_is_of_a_type_that_the_stack_policy_protects(environment: str) -> None:
    # Given what is kept when its stack goes, in the stacks that the policy is set on
    kept = {
        resource["Type"]
        for deployment in _all(environment)
        for stack in ("security", "data")
        for resource in deployment[stack].resources.values()
        if resource.get("DeletionPolicy", "Delete") != "Delete"
    }

    # Then no update may delete or replace it. Versions are kept as ways back, and replaced by each deployment; logs are
    # kept for whoever asks what happened, and end by their retention.
    assert kept - {"AWS::Lambda::Version", "AWS::Logs::LogGroup"} <= set(PROTECTED_TYPES)


# What only AWS would tell


def test_no_alarm_counts_the_account_without_saying_so(environment: str) -> None:
    # Given that `UserErrors` of DynamoDB has no dimension for the table
    for deployment in _all(environment):
        for alarm in deployment["observability"].properties_of("AWS::CloudWatch::Alarm"):
            if "Metrics" in alarm:
                continue
            if alarm["MetricName"] == "UserErrors":
                assert not alarm.get("Dimensions")
                assert "in all of the account" in alarm["AlarmDescription"]
            else:
                assert alarm["Dimensions"], alarm["AlarmDescription"]


def test_no_index_has_one_partition_for_everything(environment: str) -> None:
    # Given the partition key of every index
    keys = {
        key["AttributeName"]
        for deployment in _all(environment)
        for table in deployment["data"].properties_of("AWS::DynamoDB::Table")
        for index in table.get("GlobalSecondaryIndexes", [])
        for key in index["KeySchema"]
        if key["KeyType"] == "HASH"
    }

    # Then it carries a shard, or the user whose records they are
    assert keys == {"shard", "status_shard", "pending_shard", "owner_status"}


def test_whoever_reads_what_is_under_the_key_may_open_it_and_whoever_writes_may_make_data_keys(
    environment: str,
) -> None:
    # Given what reads and what writes under a service's key
    reads = {"s3:GetObject", "sqs:ReceiveMessage", "secretsmanager:GetSecretValue", "dynamodb:GetRecords"}
    writes = {"s3:PutObject", "sqs:SendMessage", "sns:Publish"}
    for deployment in _all(environment):
        for stack, key, properties in _functions(deployment):
            role = properties["Role"]["Fn::GetAtt"][0]
            actions = {
                action
                for policy in deployment[stack].properties_of("AWS::IAM::ManagedPolicy")
                if {"Ref": role} in policy["Roles"]
                for statement in policy["PolicyDocument"]["Statement"]
                for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
            }
            if actions & reads:
                assert "kms:Decrypt" in actions, key
            if actions & writes:
                assert "kms:GenerateDataKey" in actions, key


def test_a_user_pool_uses_what_its_plan_has(environment: str) -> None:
    # Given that threat protection needs the plan Plus
    pool = synthesis.deployment(environment, Processing)["security"].only("AWS::Cognito::UserPool")

    enforced = pool.get("UserPoolAddOns", {}).get("AdvancedSecurityMode") == "ENFORCED"
    assert enforced is (pool["UserPoolTier"] == "PLUS")
    # And that a pool with the e-mail alias cannot have e-mail addresses as user names
    assert ("AliasAttributes" in pool) is not ("UsernameAttributes" in pool)
