"""Requirements that concern all services, or that only AWS would show at deployment or in use."""

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
    """Return every service in an environment."""
    return [synthesis.deployment(environment, service) for service in SERVICES]


def _functions(deployment: DeployedTemplates) -> list[tuple[str, str, dict[str, Any]]]:
    """Return stack, logical id and properties of every function."""
    return [
        (template.name, key, resource["Properties"])
        for template in deployment
        for key, resource in template.of_type("AWS::Lambda::Function").items()
    ]


@pytest.mark.requirement(
    "functions", "reservations of all services together, in accounts with quotas of 1,000 and of 10"
)
def test_all_services_leave_100_executions_unreserved(environment: str) -> None:
    # Given the default quota of 1000 per account, of which Lambda keeps 100 unreserved
    reserved = sum(
        properties.get("ReservedConcurrentExecutions", 0)
        for deployment in _all(environment)
        for _, _, properties in _functions(deployment)
    )

    # Then one account can run all services
    assert 0 < reserved <= 900


@pytest.mark.requirement(
    "functions", "reservations of all services together, in accounts with quotas of 1,000 and of 10"
)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_service_deploys_to_an_account_of_ten_executions(service: type[Service]) -> None:
    # Given a new account, in which nothing can be reserved, and a configuration for it
    settings = getattr(SPECIMEN.environment("dev").services, service.name)
    reserving = [name for name, value in settings if isinstance(value, FunctionSettings)]
    assert reserving
    environment = changed(
        SPECIMEN.environment("dev"),
        {f"services.{service.name}.{name}.reserved_concurrency": None for name in reserving},
    )

    # Then nothing is reserved
    deployment = synthesis.deploy("dev, new account", environment, service)
    for _, key, properties in _functions(deployment):
        assert "ReservedConcurrentExecutions" not in properties, key
    for mapping in deployment["compute"].properties_of("AWS::Lambda::EventSourceMapping"):
        assert "ScalingConfig" not in mapping


@pytest.mark.requirement("X-Ray for an HTTP API, which does not support it")
@pytest.mark.parametrize("service", HTTP, ids=lambda service: service.name)
def test_functions_behind_an_http_api_trace_themselves(service: type[Service], environment: str) -> None:
    # HTTP APIs do not support X-Ray, and reject the setting
    deployment = synthesis.deployment(environment, service)
    for stage in deployment["compute"].properties_of("AWS::ApiGatewayV2::Stage"):
        assert "TracingEnabled" not in stage

    # Then the functions start the trace
    assert {properties["TracingConfig"]["Mode"] for _, _, properties in _functions(deployment)} == {"Active"}


@pytest.mark.requirement("a REST method that waits longer than 29 s")
@pytest.mark.parametrize("service", REST, ids=lambda service: service.name)
def test_no_rest_method_exceeds_the_gateways_timeout(service: type[Service], environment: str) -> None:
    # A REST API times out after 29 s, regardless of its function
    methods = synthesis.deployment(environment, service)["compute"].properties_of("AWS::ApiGateway::Method")

    assert methods
    for method in methods:
        assert method["Integration"].get("TimeoutInMillis", 29_000) <= 29_000


@pytest.mark.requirement("the API")
def test_only_devs_http_api_allows_every_origin(environment: str) -> None:
    deployment = synthesis.deployment(environment, Studio)
    origins = deployment["compute"].only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]["AllowOrigins"]
    bucket = deployment.behind(deployment.output("BucketName"))["Properties"]["CorsConfiguration"]["CorsRules"]

    assert ("*" in origins) is (environment == "dev")
    for rule in bucket:
        assert ("*" in rule["AllowedOrigins"]) is (environment == "dev")


# --- What only AWS can show ---


@pytest.mark.requirement("threat protection without the plan Plus")
def test_a_user_pool_only_uses_features_of_its_plan(environment: str) -> None:
    # Threat protection needs the Plus plan
    pool = synthesis.deployment(environment, Studio)["security"].only("AWS::Cognito::UserPool")

    enforced = pool.get("UserPoolAddOns", {}).get("AdvancedSecurityMode") == "ENFORCED"
    assert enforced is (pool["UserPoolTier"] == "PLUS")
    # And a pool with the e-mail alias cannot have e-mail addresses as user names
    assert ("AliasAttributes" in pool) is not ("UsernameAttributes" in pool)
