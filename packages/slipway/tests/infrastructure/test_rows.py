"""Rows that are about all services together, or that only AWS would show at a deployment or in use."""

from __future__ import annotations

from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import SPECIMEN, changed
from slipway.service import Service
from slipway.settings import FunctionSettings
from slipway.testing.templates import DeployedTemplates
from specimen.delivery import SERVICES
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio

ENVIRONMENTS = ("dev", "staging", "prod")
HTTP = [Studio]
REST = [Catalog, Intake]


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def _all(environment: str) -> list[DeployedTemplates]:
    """Every service in an environment."""
    return [synthesis.deployment(environment, service) for service in SERVICES]


def _functions(deployment: DeployedTemplates) -> list[tuple[str, str, dict[str, Any]]]:
    """Stack, logical id and properties of every function."""
    return [
        (template.name, key, resource["Properties"])
        for template in deployment
        for key, resource in template.of_type("AWS::Lambda::Function").items()
    ]


@pytest.mark.requirement(
    "functions", "reservations of all services together, in accounts with quotas of 1,000 and of 10"
)
def test_all_services_leave_100_executions_unreserved(environment: str) -> None:
    # Given the default quota of 1000 an account, of which Lambda keeps 100 unreserved
    reserved = sum(
        properties.get("ReservedConcurrentExecutions", 0)
        for deployment in _all(environment)
        for _, _, properties in _functions(deployment)
    )

    # Then one account may hold all services
    assert 0 < reserved <= 900


@pytest.mark.requirement(
    "functions", "reservations of all services together, in accounts with quotas of 1,000 and of 10"
)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_deploys_to_an_account_of_ten_executions(service: type[Service]) -> None:
    # Given a new account, in which nothing can be reserved, and the configuration that says so
    settings = getattr(SPECIMEN.environment("dev").services, service.name)
    reserving = [name for name, value in settings if isinstance(value, FunctionSettings)]
    assert reserving
    environment = changed(
        SPECIMEN.environment("dev"),
        {f"services.{service.name}.{name}.reserved_concurrency": None for name in reserving},
    )

    # Then nothing is
    deployment = synthesis.deploy("dev, new account", environment, service)
    for _, key, properties in _functions(deployment):
        assert "ReservedConcurrentExecutions" not in properties, key
    for mapping in deployment["compute"].properties_of("AWS::Lambda::EventSourceMapping"):
        assert "ScalingConfig" not in mapping


@pytest.mark.requirement("X-Ray for an HTTP API, which does not support it")
@pytest.mark.parametrize("service", HTTP, ids=lambda service: service.name)
def test_functions_behind_an_http_api_trace_themselves(service: type[Service], environment: str) -> None:
    # Given that HTTP APIs have no X-Ray, and refuse to be asked for it
    deployment = synthesis.deployment(environment, service)
    for stage in deployment["compute"].properties_of("AWS::ApiGatewayV2::Stage"):
        assert "TracingEnabled" not in stage

    # Then the functions begin the trace
    assert {properties["TracingConfig"]["Mode"] for _, _, properties in _functions(deployment)} == {"Active"}


@pytest.mark.requirement("a REST method that waits longer than 29 s")
@pytest.mark.parametrize("service", REST, ids=lambda service: service.name)
def test_no_rest_method_waits_longer_than_the_gateway_does(service: type[Service], environment: str) -> None:
    # Given that a REST API times out after 29 s, whatever its function may take
    methods = synthesis.deployment(environment, service)["compute"].properties_of("AWS::ApiGateway::Method")

    assert methods
    for method in methods:
        assert method["Integration"].get("TimeoutInMillis", 29_000) <= 29_000


@pytest.mark.requirement("the API")
def test_no_http_answer_opens_itself_to_every_origin_but_devs(environment: str) -> None:
    deployment = synthesis.deployment(environment, Studio)
    origins = deployment["compute"].only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]["AllowOrigins"]
    bucket = deployment.behind(deployment.output("BucketName"))["Properties"]["CorsConfiguration"]["CorsRules"]

    assert ("*" in origins) is (environment == "dev")
    for rule in bucket:
        assert ("*" in rule["AllowedOrigins"]) is (environment == "dev")


# What only AWS can show


@pytest.mark.requirement("threat protection without the plan Plus")
def test_a_user_pool_uses_what_its_plan_has(environment: str) -> None:
    # Given that threat protection needs the plan Plus
    pool = synthesis.deployment(environment, Studio)["security"].only("AWS::Cognito::UserPool")

    enforced = pool.get("UserPoolAddOns", {}).get("AdvancedSecurityMode") == "ENFORCED"
    assert enforced is (pool["UserPoolTier"] == "PLUS")
    # And that a pool with the e-mail alias cannot have e-mail addresses as user names
    assert ("AliasAttributes" in pool) is not ("UsernameAttributes" in pool)
