"""The REST API: routes, authorization, validation, logs, throttling, CORS, errors, WAF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, changed
from slipway.blocks.schema import OpenApiDocument
from slipway.settings import Environment
from slipway.testing.templates import DeployedTemplates, Template
from specimen.services.catalog import infrastructure
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake

DOCUMENT = json.loads(Path(infrastructure.__file__).with_name("openapi.json").read_text(encoding="utf-8"))

# JSON Schema keywords that API Gateway's draft 4 does not know or interprets differently
_AFTER_DRAFT_4 = {
    "const",
    "contains",
    "$defs",
    "examples",
    "if",
    "then",
    "else",
    "propertyNames",
    "unevaluatedProperties",
}


PHRASES = {413: "Content Too Large"}
"""RFC 9110's phrases that older Python versions spell differently."""

RESPONSE_TYPES = {
    *("ACCESS_DENIED", "API_CONFIGURATION_ERROR", "AUTHORIZER_CONFIGURATION_ERROR", "AUTHORIZER_FAILURE"),
    *("BAD_REQUEST_BODY", "BAD_REQUEST_PARAMETERS", "DEFAULT_4XX", "DEFAULT_5XX", "EXPIRED_TOKEN"),
    *("INTEGRATION_FAILURE", "INTEGRATION_TIMEOUT", "INVALID_API_KEY", "INVALID_SIGNATURE"),
    *("MISSING_AUTHENTICATION_TOKEN", "QUOTA_EXCEEDED", "RESOURCE_NOT_FOUND", "THROTTLED"),
    *("UNAUTHORIZED", "UNSUPPORTED_MEDIA_TYPE", "WAF_FILTERED"),
}
"""All types except `REQUEST_TOO_LARGE`, for which API Gateway ignores the configuration:
docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html"""


def _rest(where: Callable[[Environment], bool] = lambda _: True) -> list[object]:
    """Return each service with a REST API in the variants that change it, for `parametrize(…, indirect=True)`."""
    cases: list[tuple[type[Catalog | Intake], str]] = [(Catalog, variant) for variant in ENVIRONMENTS]
    cases += [(Intake, variant) for variant in ("dev", "staging", "prod", "dev, several origins")]
    return [
        pytest.param((service, variant), id=f"{service.name} in {variant}")
        for service, variant in cases
        if where(ENVIRONMENTS[variant])
    ]


@pytest.fixture(params=_rest())
def rest(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Return a service with a REST API."""
    service, variant = request.param
    return synthesis.deployment(variant, service)


def _path(template: Template, resource_id: Any) -> str:
    if "Fn::GetAtt" in resource_id:
        return ""
    resource = template.resources[resource_id["Ref"]]["Properties"]
    return f"{_path(template, resource['ParentId'])}/{resource['PathPart']}"


def _methods(deployment: DeployedTemplates) -> dict[tuple[str, str], dict[str, Any]]:
    """Return every method by path and verb."""
    compute = deployment["compute"]
    return {
        (_path(compute, method["ResourceId"]), method["HttpMethod"]): method
        for method in compute.properties_of("AWS::ApiGateway::Method")
    }


def _stage(deployment: DeployedTemplates) -> dict[str, Any]:
    return deployment["compute"].only("AWS::ApiGateway::Stage")


def _settings(deployment: DeployedTemplates) -> dict[str, Any]:
    (settings,) = _stage(deployment)["MethodSettings"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    return dict(settings)


def _responses(deployment: DeployedTemplates) -> dict[str, dict[str, Any]]:
    return {
        response["ResponseType"]: response
        for response in deployment["compute"].properties_of("AWS::ApiGateway::GatewayResponse")
    }


def _words(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yield every keyword and value of a schema; names of properties are not keywords."""
    if isinstance(schema, list):
        for entry in schema:
            yield from _words(entry)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key, value
            yield from _words(list(value.values()) if key in {"properties", "patternProperties"} else value)


@pytest.mark.requirement("items: routes")
def test_the_api_is_regional(rest: DeployedTemplates) -> None:
    api = rest["compute"].only("AWS::ApiGateway::RestApi")

    assert api["EndpointConfiguration"]["Types"] == ["REGIONAL"]


@pytest.mark.requirement("items: routes")
def test_the_apis_routes_are_those_of_its_document(deployment: DeployedTemplates) -> None:
    # Given the operations of the committed document
    documented = {
        (path, verb.upper())
        for path, operations in DOCUMENT["paths"].items()
        for verb in operations
        if verb in {"delete", "get", "head", "patch", "post", "put"}
    }

    # Then the API has exactly these, plus HEAD where the edge may use it, and preflights
    added = {(path, verb) for path, verb in _methods(deployment) if verb not in {"OPTIONS", "HEAD"}}
    assert added == {(path, verb) for path, verb in documented if verb != "HEAD"}
    assert added == {
        ("/items", "POST"),
        ("/items", "GET"),
        ("/items/{id}", "GET"),
        ("/items/{id}", "PUT"),
        ("/items/{id}", "DELETE"),
        ("/health", "GET"),
    }


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize("path", ["/items", "/items/{id}", "/health"])
def test_reads_are_answered_for_head_as_for_get(deployment: DeployedTemplates, path: str) -> None:
    # CloudFront forwards a viewer's HEAD to the origin, and monitors send HEAD only to the health check
    methods = _methods(deployment)

    assert methods[path, "HEAD"]["AuthorizationType"] == methods[path, "GET"]["AuthorizationType"] == "NONE"


@pytest.mark.requirement("items: access")
def test_writes_are_signed_and_reads_are_not(deployment: DeployedTemplates) -> None:
    for (path, verb), method in _methods(deployment).items():
        signed = verb in {"POST", "PUT", "DELETE"}
        assert method["AuthorizationType"] == ("AWS_IAM" if signed else "NONE"), f"{verb} {path}"


@pytest.mark.requirement("the API")
def test_bodies_and_parameters_are_validated_at_the_gateway(deployment: DeployedTemplates) -> None:
    # Given the API's request validator
    ((key, validator),) = deployment["compute"].of_type("AWS::ApiGateway::RequestValidator").items()
    assert validator["Properties"]["ValidateRequestBody"] is True
    assert validator["Properties"]["ValidateRequestParameters"] is True

    # Then every route uses it, and every route with a body has a model
    for (path, verb), method in _methods(deployment).items():
        if verb != "OPTIONS":
            assert method["RequestValidatorId"] == {"Ref": key}, f"{verb} {path}"
        assert ("application/json" in method.get("RequestModels", {})) is (verb in {"POST", "PUT"}), f"{verb} {path}"


@pytest.mark.requirement("the API")
def test_request_models_are_draft_4_without_references(deployment: DeployedTemplates) -> None:
    models = deployment["compute"].properties_of("AWS::ApiGateway::Model")

    assert len(models) == 2
    for model in models:
        assert model["Schema"]["$schema"] == "http://json-schema.org/draft-04/schema#"
        for word, value in _words(model["Schema"]):
            assert word != "$ref"
            assert word not in _AFTER_DRAFT_4
            if word in {"exclusiveMinimum", "exclusiveMaximum"}:
                assert value is True
            if word in {"items", "additionalItems", "not"}:
                # Schemas that are just true or false were added after draft 4
                assert isinstance(value, dict)


@pytest.mark.parametrize(("verb", "path"), [("post", "/items"), ("put", "/items/{id}")])
def test_request_models_require_what_the_document_requires(dev: DeployedTemplates, verb: str, path: str) -> None:
    # Given the schema of the document's body
    body = DOCUMENT["paths"][path][verb]["requestBody"]["content"]["application/json"]["schema"]
    schema = OpenApiDocument(Path(infrastructure.__file__).with_name("openapi.json")).schema(
        body["$ref"].rpartition("/")[2]
    )

    # Then the model has the same properties, and the same required ones
    model = _methods(dev)[path, verb.upper()]["RequestModels"]["application/json"]["Ref"]
    converted = dev["compute"].resources[model]["Properties"]["Schema"]
    assert converted["type"] == schema["type"] == "object"
    assert set(converted["properties"]) == set(schema["properties"])
    assert converted.get("required", []) == schema.get("required", [])


@pytest.mark.requirement("the API", "a changed request model without a new deployment of the API")
def test_a_changed_body_schema_makes_a_new_deployment(dev: DeployedTemplates, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a deployment; a stage serves it regardless of later changes of the models
    before = list(dev["compute"].of_type("AWS::ApiGateway::Deployment"))

    # When only the document's schemas change
    schema = OpenApiDocument.schema
    monkeypatch.setattr(OpenApiDocument, "schema", lambda self, name: schema(self, name) | {"maxProperties": 99})
    after = list(
        synthesis.deploy("dev, new schema", ENVIRONMENTS["dev"])["compute"].of_type("AWS::ApiGateway::Deployment")
    )

    # Then the stage gets a new deployment
    assert before != after


def test_the_stage_waits_for_a_deployment_with_every_method(rest: DeployedTemplates) -> None:
    ((_, made),) = rest["compute"].of_type("AWS::ApiGateway::Deployment").items()

    assert set(rest["compute"].of_type("AWS::ApiGateway::Method")) <= set(made["DependsOn"])


@pytest.mark.requirement("the API")
def test_the_access_log_has_the_fields_for_an_audit(rest: DeployedTemplates) -> None:
    # Given the access log of the stage
    setting = _stage(rest)["AccessLogSetting"]
    entry = json.loads(setting["Format"])

    # Then it has the fields that an auditor needs
    assert set(entry.values()) >= {
        "$context.identity.caller",
        "$context.httpMethod",
        "$context.identity.sourceIp",
        "$context.protocol",
        "$context.requestTime",
        "$context.path",
        "$context.responseLength",
        "$context.status",
        "$context.identity.user",
        "$context.requestId",
        "$context.error.responseType",
    }
    # And it does not repeat, unescaped, anything the caller sent
    assert "$context.error.message" not in setting["Format"]
    # And it is sent to an encrypted log group with the configured retention; its ARN does not end in `:*`
    destination = rest.text("compute", setting["DestinationArn"])
    assert not destination.endswith("*")
    (group,) = [
        resource["Properties"]
        for key, resource in rest["compute"].of_type("AWS::Logs::LogGroup").items()
        if f"/{key}" in destination
    ]
    assert group["RetentionInDays"] == rest.environment.logs.retention_days
    assert rest.text("compute", group["KmsKeyId"]) == rest.output("KeyArn")


@pytest.mark.requirement("the API")
def test_execution_log_exists_before_the_stage(rest: DeployedTemplates) -> None:
    # Given the log group's name, which API Gateway dictates
    compute = rest["compute"]
    ((key, group),) = [
        (key, resource["Properties"])
        for key, resource in compute.of_type("AWS::Logs::LogGroup").items()
        if "API-Gateway-" in str(resource["Properties"].get("LogGroupName"))
    ]
    (stage,) = compute.of_type("AWS::ApiGateway::Stage").values()

    # Then the stack creates that group, and the stage depends on it
    assert rest.text("compute", group["LogGroupName"]) == (
        f"API-Gateway-Execution-Logs_{rest.output('ApiId')}/{stage['Properties']['StageName']}"
    )
    assert group["RetentionInDays"] == rest.environment.logs.retention_days
    assert rest.text("compute", group["KmsKeyId"]) == rest.output("KeyArn")
    assert key in stage["DependsOn"]


@pytest.mark.requirement("the API", "bodies and tokens in logs")
def test_requests_are_logged_and_traced_without_bodies(deployment: DeployedTemplates) -> None:
    settings = _settings(deployment)

    assert settings["LoggingLevel"] == "INFO"
    assert settings["MetricsEnabled"] is True
    assert settings["DataTraceEnabled"] is False
    assert _stage(deployment)["TracingEnabled"] is True


@pytest.mark.requirement("items: capacity, throttles, compression")
def test_the_stage_throttles_as_configured_and_has_no_cache(deployment: DeployedTemplates) -> None:
    throttle = deployment.environment.services.catalog.throttle
    settings = _settings(deployment)

    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (throttle.rate, throttle.burst)
    assert not _stage(deployment).get("CacheClusterEnabled", False)
    assert not settings.get("CachingEnabled", False)


@pytest.mark.requirement("items: capacity, throttles, compression")
def test_answers_are_compressed_from_1_kib(deployment: DeployedTemplates) -> None:
    api = deployment["compute"].only("AWS::ApiGateway::RestApi")

    assert api["MinimumCompressionSize"] == 1024
    assert set(api["BinaryMediaTypes"]) == {"multipart/form-data", "application/octet-stream"}


@pytest.mark.requirement("the API", "CORS for `*` with credentials, which browsers reject")
def test_preflights_answer_with_the_configured_origins(deployment: DeployedTemplates) -> None:
    # Given the preflight of every path
    origins = deployment.environment.cors.origins
    preflights = {path: method for (path, verb), method in _methods(deployment).items() if verb == "OPTIONS"}
    assert {"/items", "/items/{id}", "/health"} <= set(preflights)

    for method in preflights.values():
        (answer,) = method["Integration"]["IntegrationResponses"]
        headers = answer["ResponseParameters"]
        # Then the default is the first origin, and the others are selected by the request's origin
        assert headers["method.response.header.Access-Control-Allow-Origin"] == f"'{origins[0]}'"
        chosen = json.dumps(answer.get("ResponseTemplates", {}))
        assert all(origin in chosen for origin in origins[1:])
        allowed = headers["method.response.header.Access-Control-Allow-Headers"]
        assert {"Authorization", "Idempotency-Key", "If-Match", "X-Amz-Date"} <= set(allowed.strip("'").split(","))
        # And `*` is never combined with credentials, which browsers refuse
        assert "method.response.header.Access-Control-Allow-Credentials" not in headers


@pytest.mark.requirement("the API")
def test_only_dev_allows_every_origin(committed: DeployedTemplates) -> None:
    starred = "*" in committed.environment.cors.origins

    assert starred is (committed.environment.name == "dev")
    assert ("'*'" in committed["compute"].text()) is starred
    assert ("*" in committed.function("api.handler")["Environment"]["Variables"]["CORS_ORIGINS"]) is starred


@pytest.mark.requirement("the API", "errors")
def test_the_gateways_own_errors_have_the_services_format(rest: DeployedTemplates) -> None:
    # Given every response that API Gateway generates itself
    responses = _responses(rest)
    assert set(responses) == RESPONSE_TYPES

    for name, response in responses.items():
        # Then it is a problem document with the request's id
        assert list(response["ResponseTemplates"]) == ["application/json"], name
        template = response["ResponseTemplates"]["application/json"]
        problem = json.loads(re.sub(r"(?<=: )(\$context\.[\w.]+)(?=[,}\]])", r'"\1"', template))
        assert problem["type"] == "about:blank", name
        assert problem["detail"], name
        assert problem["instance"] == "$context.path", name
        assert problem["request_id"] == "$context.requestId", name
        assert isinstance(problem["errors"], list), name
        # And its status is the actual one; a default response's status would apply to every type
        if name.startswith("DEFAULT"):
            assert "StatusCode" not in response, name
            assert problem.get("status", 500) // 100 == int(name[-3]), name
        else:
            assert problem["status"] == int(response["StatusCode"]), name
        if name == "DEFAULT_5XX":
            # The template cannot know whether it is 500 or 502
            assert not {"status", "title"} & set(problem)
        else:
            assert problem["title"] == PHRASES.get(problem["status"], HTTPStatus(problem["status"]).phrase), name


@pytest.mark.requirement("the API", "answers without CORS headers")
def test_browsers_can_read_gateway_errors_uncached(rest: DeployedTemplates) -> None:
    for name, response in _responses(rest).items():
        headers = response["ResponseParameters"]
        origin = headers["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert origin == f"'{rest.environment.cors.origins[0]}'", name
        assert headers["gatewayresponse.header.Content-Type"] == "'application/problem+json'", name
        assert headers["gatewayresponse.header.Cache-Control"] == "'no-store'", name


@pytest.mark.requirement("the API")
@pytest.mark.parametrize("rest", _rest(lambda environment: environment.waf.enabled), indirect=True)
def test_waf_protects_stage_with_rules_and_rate(rest: DeployedTemplates) -> None:
    # Given the web ACL
    compute = rest["compute"]
    key, acl = _web_acl(rest)
    rules = acl["Rules"]
    managed = [rule for rule in rules if "ManagedRuleGroupStatement" in rule["Statement"]]
    rated = [rule for rule in rules if "RateBasedStatement" in rule["Statement"]]

    # Then AWS's rules are active, and addresses with too many requests are blocked
    assert {rule["Statement"]["ManagedRuleGroupStatement"]["Name"] for rule in managed} >= {
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
    }
    assert all(rule["OverrideAction"] == {"None": {}} for rule in managed)
    assert rated
    for rule in rated:
        assert rule["Action"] == {"Block": {}}
        assert rule["Statement"]["RateBasedStatement"]["Limit"] == rest.environment.waf.requests_per_5_minutes
    assert len({rule["Priority"] for rule in rules}) == len(rules) == len(managed) + len(rated)
    # And it is attached to the stage
    association = compute.only("AWS::WAFv2::WebACLAssociation")
    assert association["WebACLArn"] == {"Fn::GetAtt": [key, "Arn"]}
    (stage,) = compute.of_type("AWS::ApiGateway::Stage")
    assert rest.text("compute", association["ResourceArn"]).endswith(f"/stages/<compute/{stage}>")


@pytest.mark.requirement("the API")
@pytest.mark.parametrize("rest", _rest(lambda environment: environment.waf.enabled), indirect=True)
def test_blocked_and_counted_requests_are_logged_without_credentials(rest: DeployedTemplates) -> None:
    # Given the log of the web ACL
    compute = rest["compute"]
    acl, _ = _web_acl(rest)
    logging = compute.only(
        "AWS::WAFv2::LoggingConfiguration", lambda each: each["ResourceArn"] == {"Fn::GetAtt": [acl, "Arn"]}
    )
    (destination,) = rest.texts("compute", logging["LogDestinationConfigs"])
    prefix, _, group = destination.rpartition(":log-group:")
    properties = rest.behind(group)["Properties"]

    # Then it is a group with a name and an ARN that WAF accepts, encrypted, with the configured retention
    assert prefix
    name = rest.text("compute", properties["LogGroupName"])
    assert name.startswith("aws-waf-logs-")
    # And a stack that is created again creates another group next to the retained one
    assert name.endswith("-select(2,split(/,<AWS::StackId>))")
    assert properties["RetentionInDays"] == rest.environment.logs.retention_days
    assert rest.text("compute", properties["KmsKeyId"]) == rest.output("KeyArn")
    # And no header with credentials is logged
    redacted = {field["SingleHeader"]["Name"] for field in logging["RedactedFields"]}
    assert redacted >= {"authorization", "x-api-key", "x-origin-verify"}
    # And accepted requests are only in the access log
    (kept,) = logging["LoggingFilter"]["Filters"]
    assert logging["LoggingFilter"]["DefaultBehavior"] == "DROP"
    assert [condition["ActionCondition"]["Action"] for condition in kept["Conditions"]] == ["BLOCK", "COUNT"]


@pytest.mark.parametrize("rest", _rest(lambda environment: not environment.waf.enabled), indirect=True)
def test_without_waf_there_is_no_web_acl(rest: DeployedTemplates) -> None:
    assert not rest["compute"].of_type("AWS::WAFv2::WebACL")
    assert not rest["compute"].of_type("AWS::WAFv2::WebACLAssociation")


@pytest.mark.requirement("the API", "a rate rule that an absent or forged header switches off")
def test_only_requests_with_the_edges_secret_are_not_counted(prod: DeployedTemplates) -> None:
    # Given that requests through the edge come from its addresses, and were counted there
    rate = _rate(prod)

    # Then all others count by source address, with any method and regardless of headers
    assert rate["AggregateKeyType"] == "IP"
    match = rate["ScopeDownStatement"]["NotStatement"]["Statement"]["ByteMatchStatement"]
    assert match["FieldToMatch"] == {"SingleHeader": {"Name": "x-origin-verify"}}
    assert match["PositionalConstraint"] == "EXACTLY"
    # And no caller can forge the header: its value is the secret's
    secret = prod.output("OriginSecretArn")
    assert prod.text("compute", match["SearchString"]) == (
        f"{{{{resolve:secretsmanager:{secret}:SecretString:header::}}}}"
    )


@pytest.mark.requirement("the API")
def test_without_an_edge_every_request_is_counted() -> None:
    rate = _rate(synthesis.deployment("prod", Intake))

    assert rate["AggregateKeyType"] == "IP"
    assert "ScopeDownStatement" not in rate


@pytest.mark.requirement("the API")
@pytest.mark.parametrize("rules", ["count", "block"])
def test_rules_about_bodies_count_or_block_as_configured(rules: str) -> None:
    # Given a configuration of the rules about bodies
    deployment = synthesis.deploy(f"prod, {rules}", changed(ENVIRONMENTS["prod"], {"waf.body_rules": rules}), Intake)
    overrides = {
        override["Name"]: override["ActionToUse"]
        for rule in _web_acl(deployment)[1]["Rules"]
        for override in rule["Statement"].get("ManagedRuleGroupStatement", {}).get("RuleActionOverrides", [])
    }

    # Then the rules about content count or block; a body's length is never a reason to block
    words = {"CrossSiteScripting_BODY", "EC2MetaDataSSRF_BODY", "GenericLFI_BODY", "GenericRFI_BODY", "Log4JRCE_BODY"}
    assert (words <= set(overrides)) is (rules == "count")
    assert words.isdisjoint(overrides) is (rules == "block")
    assert "SizeRestrictions_BODY" in overrides
    assert all(action == {"Count": {}} for action in overrides.values())


def _web_acl(deployment: DeployedTemplates) -> tuple[str, dict[str, Any]]:
    """Return logical id and properties of the API's web ACL."""
    ((key, acl),) = [
        (key, acl["Properties"])
        for key, acl in deployment["compute"].of_type("AWS::WAFv2::WebACL").items()
        if acl["Properties"]["Scope"] == "REGIONAL"
    ]
    return key, acl


def _rate(deployment: DeployedTemplates) -> dict[str, Any]:
    (rule,) = [rule for rule in _web_acl(deployment)[1]["Rules"] if "RateBasedStatement" in rule["Statement"]]
    statement: dict[str, Any] = rule["Statement"]["RateBasedStatement"]
    return statement


@pytest.mark.requirement(
    "the API", "ingest: the stage cache", "a cached method that loses the stage's throttle and log"
)
@pytest.mark.parametrize("variant", ["dev", "staging", "prod", "dev, several origins"])
def test_method_settings_repeat_those_of_the_stage(variant: str) -> None:
    # Given a stage with a cached method, whose settings replace all of the stage's settings
    deployment = synthesis.deployment(variant, Intake)
    throttle = deployment.environment.services.intake.throttle

    # Then each still logs, measures and throttles, and logs no bodies
    for settings in _stage(deployment)["MethodSettings"]:
        assert settings["LoggingLevel"] == "INFO"
        assert settings["MetricsEnabled"] is True
        assert settings["DataTraceEnabled"] is False
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (throttle.rate, throttle.burst)
