"""What P11 asks of REST APIs, of those beside the one of `items`: tests of its file run here for them.

HTTP APIs offer less (`tests/infrastructure/test_processing.py`).
"""

from __future__ import annotations

import pytest

from services.ingest.infrastructure import Ingest
from tests.infrastructure import synthesis
from tests.infrastructure.synthesis import Deployment

# Imported to be collected once more, with the fixtures of this file.
from tests.infrastructure.test_rest import (  # noqa: F401
    test_the_access_log_is_json_with_what_an_auditor_asks,
    test_the_api_is_regional,
    test_the_execution_log_is_there_before_the_stage_encrypted_and_not_kept_for_ever,
    test_the_gateways_own_errors_can_be_read_by_browsers_and_are_not_cached,
    test_the_gateways_own_errors_have_the_services_format,
    test_the_stage_waits_for_a_deployment_with_every_method,
    test_waf_stands_before_the_stage_with_managed_rules_and_a_rate,
    test_what_waf_blocks_or_counts_is_logged_without_credentials,
    test_without_waf_there_is_no_web_acl,
)

VARIANTS = ("dev", "staging", "prod", "dev, several origins")


@pytest.fixture(params=VARIANTS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each variant in turn."""
    return synthesis.deployment(request.param, Ingest)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> Deployment:
    """Each environment as it is committed, in turn."""
    return synthesis.deployment(request.param, Ingest)


def test_executions_are_logged_measured_traced_and_throttled_but_bodies_are_not_kept(deployment: Deployment) -> None:
    stage = deployment["compute"].only("AWS::ApiGateway::Stage")
    throttle = deployment.environment.services.ingest.throttle

    assert stage["TracingEnabled"] is True
    for settings in stage["MethodSettings"]:
        assert settings["LoggingLevel"] == "INFO"
        assert settings["MetricsEnabled"] is True
        assert settings["DataTraceEnabled"] is False
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (throttle.rate, throttle.burst)


def test_bodies_and_parameters_are_validated_at_the_gateway(deployment: Deployment) -> None:
    ((key, validator),) = deployment["compute"].of_type("AWS::ApiGateway::RequestValidator").items()
    assert validator["Properties"]["ValidateRequestBody"] is True
    assert validator["Properties"]["ValidateRequestParameters"] is True
    for method in deployment["compute"].properties_of("AWS::ApiGateway::Method"):
        if method["HttpMethod"] != "OPTIONS":
            assert method["RequestValidatorId"] == {"Ref": key}


def test_no_answer_opens_itself_to_every_origin_but_devs(committed: Deployment) -> None:
    starred = "*" in committed.environment.cors.origins

    assert starred is (committed.environment.name == "dev")
    assert ("'*'" in committed["compute"].text()) is starred
    assert ("*" in committed.function("api.handler")["Environment"]["Variables"]["CORS_ORIGINS"]) is starred


def test_every_path_answers_preflights_with_the_configured_origins(deployment: Deployment) -> None:
    origins = deployment.environment.cors.origins
    methods = deployment["compute"].properties_of("AWS::ApiGateway::Method")
    asked = [method for method in methods if method["HttpMethod"] == "OPTIONS"]

    # Given that each path with a method has a preflight
    assert {str(method["ResourceId"]) for method in methods} == {str(method["ResourceId"]) for method in asked}
    for method in asked:
        (answer,) = method["Integration"]["IntegrationResponses"]
        headers = answer["ResponseParameters"]
        assert headers["method.response.header.Access-Control-Allow-Origin"] == f"'{origins[0]}'"
        assert all(origin in str(answer.get("ResponseTemplates")) for origin in origins[1:])
        # Then a page may send the key, and no credentials go with `*`
        assert "X-Api-Key" in headers["method.response.header.Access-Control-Allow-Headers"]
        assert "method.response.header.Access-Control-Allow-Credentials" not in headers
