"""An HTTP API for signed-in users: routes, user pool, test user, and a worker that is invoked asynchronously."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, changed
from slipway.settings.model import OnDemand
from slipway.testing.templates import DeployedTemplates
from specimen.services.studio.infrastructure import Studio

BEHIND_THE_API = ("POST /process", "GET /process/{id}", "HEAD /process/{id}", "GET /results", "HEAD /results")
VARIANTS = ("dev", "staging", "prod", "dev, Frankfurt", "dev, several origins")


@pytest.fixture(params=VARIANTS)
def deployment(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Return the service in each variant in turn."""
    return synthesis.deployment(request.param, Studio)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Return the service in each committed environment in turn."""
    return synthesis.deployment(request.param, Studio)


@pytest.fixture
def dev() -> DeployedTemplates:
    return synthesis.deployment("dev", Studio)


@pytest.fixture
def prod() -> DeployedTemplates:
    return synthesis.deployment("prod", Studio)


def _key(deployment: DeployedTemplates) -> str:
    return deployment.output("KeyArn")


class TestApi:
    @pytest.mark.requirement("processing: routes")
    def test_every_route_but_health_requires_a_token(self, deployment: DeployedTemplates) -> None:
        # Given the routes and the only authorizer
        compute = deployment["compute"]
        (authorizer,) = compute.of_type("AWS::ApiGatewayV2::Authorizer")
        routes = {route["RouteKey"]: route for route in compute.properties_of("AWS::ApiGatewayV2::Route")}
        # Then only the health check is open
        assert set(routes) == {*BEHIND_THE_API, "GET /health", "HEAD /health"}
        for key in BEHIND_THE_API:
            assert routes[key]["AuthorizationType"] == "JWT"
            assert routes[key]["AuthorizerId"] == {"Ref": authorizer}
        assert routes["GET /health"]["AuthorizationType"] == "NONE"

    @pytest.mark.requirement("processing: routes")
    def test_token_must_be_of_this_pool_and_client(self, deployment: DeployedTemplates) -> None:
        authorizer = deployment["compute"].only("AWS::ApiGatewayV2::Authorizer")
        assert authorizer["AuthorizerType"] == "JWT"
        assert authorizer["IdentitySource"] == ["$request.header.Authorization"]
        jwt = authorizer["JwtConfiguration"]
        assert deployment.texts("compute", jwt["Audience"]) == {deployment.output("UserPoolClientId")}
        region = deployment.environment.region
        pool = deployment.output("UserPoolId")
        assert deployment.text("compute", jwt["Issuer"]) == f"https://cognito-idp.{region}.amazonaws.com/{pool}"

    @pytest.mark.requirement("processing: routes")
    def test_routes_reach_live_in_payload_format_2(self, deployment: DeployedTemplates) -> None:
        live = deployment.aliases("api.handler")["live"]
        integrations = deployment["compute"].properties_of("AWS::ApiGatewayV2::Integration")
        assert integrations
        for integration in integrations:
            assert integration["PayloadFormatVersion"] == "2.0"
            assert live in deployment.text("compute", integration["IntegrationUri"])
        permissions = deployment["compute"].properties_of("AWS::Lambda::Permission")
        for permission in permissions:
            assert deployment.text("compute", permission["FunctionName"]) == live
            assert permission["Principal"] == "apigateway.amazonaws.com"
            assert permission["SourceArn"]

    @pytest.mark.requirement("the API", "CORS for `*` with credentials, which browsers reject")
    def test_browsers_of_the_configured_origins_may_call_it(self, deployment: DeployedTemplates) -> None:
        cors = deployment["compute"].only("AWS::ApiGatewayV2::Api")["CorsConfiguration"]
        assert cors["AllowOrigins"] == list(deployment.environment.cors.origins)
        assert set(cors["AllowMethods"]) == {"GET", "POST"}
        assert {"Authorization", "Content-Type", "Idempotency-Key"} <= set(cors["AllowHeaders"])
        assert "Location" in cors["ExposeHeaders"]
        assert "AllowCredentials" not in cors

    @pytest.mark.requirement("the API")
    def test_requests_are_throttled_counted_and_logged(self, deployment: DeployedTemplates) -> None:
        # Given the stage
        stage = deployment["compute"].only("AWS::ApiGatewayV2::Stage")
        assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
        # Then its throttle is the configured one, and each route has metrics
        throttle = deployment.environment.services.studio.throttle
        assert stage["DefaultRouteSettings"] == {
            "DetailedMetricsEnabled": True,
            "ThrottlingBurstLimit": throttle.burst,
            "ThrottlingRateLimit": throttle.rate,
        }
        # And the access log has the required fields, without query, body or token
        entry = json.loads(stage["AccessLogSettings"]["Format"])
        assert set(entry) >= {
            "requestId",
            "caller",
            "user",
            "ip",
            "method",
            "path",
            "protocol",
            "requestTime",
            "status",
            "responseLength",
            "error",
        }
        assert not [value for value in entry.values() if "querystring" in value or "header" in value]

    @pytest.mark.requirement("the API")
    def test_the_access_log_is_encrypted_and_kept_as_configured(self, deployment: DeployedTemplates) -> None:
        stage = deployment["compute"].only("AWS::ApiGatewayV2::Stage")
        destination = deployment.text("compute", stage["AccessLogSettings"]["DestinationArn"])
        assert ":log-group:<compute/" in destination
        assert not destination.endswith("*")
        group = deployment.behind(f"<{destination.partition('<compute')[2].join(('compute', ''))}")["Properties"]
        assert deployment.text("compute", group["KmsKeyId"]) == _key(deployment)
        assert group["RetentionInDays"] == deployment.environment.logs.retention_days


class TestUsers:
    @pytest.mark.requirement("processing: users")
    def test_users_sign_in_by_name_or_verified_e_mail(self, deployment: DeployedTemplates) -> None:
        pool = deployment["security"].only("AWS::Cognito::UserPool")
        assert pool["AliasAttributes"] == ["email"]
        assert "UsernameAttributes" not in pool
        assert pool["AutoVerifiedAttributes"] == ["email"]
        assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
        assert pool["AccountRecoverySetting"]["RecoveryMechanisms"] == [{"Name": "verified_email", "Priority": 1}]
        assert pool["UsernameConfiguration"] == {"CaseSensitive": False}
        assert pool["Schema"] == [{"Mutable": True, "Name": "email", "Required": True}]

    @pytest.mark.requirement("processing: users")
    @pytest.mark.parametrize(("variant", "length"), [("dev", 8), ("prod", 12)])
    def test_passwords_are_strong(self, variant: str, length: int) -> None:
        deployment = synthesis.deployment(variant, Studio)
        assert deployment["security"].only("AWS::Cognito::UserPool")["Policies"]["PasswordPolicy"] == {
            "MinimumLength": length,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "RequireUppercase": True,
            "TemporaryPasswordValidityDays": 3,
        }

    @pytest.mark.requirement("processing: users")
    def test_self_sign_up_is_only_possible_in_dev(self, committed: DeployedTemplates) -> None:
        config = committed["security"].only("AWS::Cognito::UserPool")["AdminCreateUserConfig"]
        assert config["AllowAdminCreateUserOnly"] is (committed.environment.name != "dev")

    @pytest.mark.requirement("processing: users", "threat protection without the plan Plus")
    def test_threat_protection_is_enforced_in_prod(self, committed: DeployedTemplates) -> None:
        pool = committed["security"].only("AWS::Cognito::UserPool")
        on = committed.environment.services.studio.user_pool.threat_protection
        assert on or committed.environment.name != "prod"
        assert pool["UserPoolTier"] == ("PLUS" if on else "ESSENTIALS")
        assert pool.get("UserPoolAddOns") == ({"AdvancedSecurityMode": "ENFORCED"} if on else None)

    @pytest.mark.requirement(
        "processing: users", "a client with the implicit grant and `https://example.com`, CDK's default"
    )
    def test_the_client_has_no_secret_and_no_oauth(self, deployment: DeployedTemplates) -> None:
        client = deployment["security"].only("AWS::Cognito::UserPoolClient")
        assert client["GenerateSecret"] is False
        assert client["AllowedOAuthFlowsUserPoolClient"] is False
        assert not {"AllowedOAuthFlows", "AllowedOAuthScopes", "CallbackURLs"} & set(client)
        assert client["PreventUserExistenceErrors"] == "ENABLED"
        assert client["EnableTokenRevocation"] is True

    @pytest.mark.requirement("processing: users")
    def test_client_signs_in_by_srp_and_password_in_dev(self, committed: DeployedTemplates) -> None:
        flows = set(committed["security"].only("AWS::Cognito::UserPoolClient")["ExplicitAuthFlows"])
        password = {"ALLOW_USER_PASSWORD_AUTH"} if committed.environment.name == "dev" else set()
        assert flows == {"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", *password}

    @pytest.mark.requirement("processing: users")
    def test_tokens_live_an_hour_and_refresh_tokens_30_days(self, deployment: DeployedTemplates) -> None:
        client = deployment["security"].only("AWS::Cognito::UserPoolClient")
        minutes = {"AccessTokenValidity": 60, "IdTokenValidity": 60, "RefreshTokenValidity": 30 * 24 * 60}
        assert {name: client[name] for name in minutes} == minutes
        assert client["TokenValidityUnits"] == dict.fromkeys(("AccessToken", "IdToken", "RefreshToken"), "minutes")

    @pytest.mark.requirement("no accidental loss of stateful resources")
    def test_the_pool_is_protected_like_other_data(self, committed: DeployedTemplates) -> None:
        (resource,) = committed["security"].of_type("AWS::Cognito::UserPool").values()
        stateful = committed.environment.stateful
        retained = "Retain" if stateful.deletion_protection else "RetainExceptOnCreate"
        assert resource["DeletionPolicy"] == ("Delete" if stateful.removal_policy.value == "destroy" else retained)
        protection = "ACTIVE" if stateful.deletion_protection else "INACTIVE"
        assert resource["Properties"].get("DeletionProtection", "INACTIVE") == protection


class TestTestUser:
    @pytest.mark.requirement("processing: users")
    def test_test_user_exists_only_in_dev(self, committed: DeployedTemplates) -> None:
        security = committed["security"]
        there = committed.environment.name == "dev"
        assert bool(security.of_type("Custom::TestUser")) is there
        assert bool(security.of_type("AWS::SecretsManager::Secret")) is there
        assert ("TestUserSecretArn" in security.outputs) is there

    @pytest.mark.requirement("processing: users", "a user name like an e-mail address in a pool with the e-mail alias")
    def test_password_is_generated_and_fits_the_policy(self, dev: DeployedTemplates) -> None:
        secret = dev["security"].only("AWS::SecretsManager::Secret")
        assert dev.text("security", secret["KmsKeyId"]) == _key(dev)
        generated = secret["GenerateSecretString"]
        assert generated["GenerateStringKey"] == "password"
        assert generated["RequireEachIncludedType"] is True
        assert generated["PasswordLength"] == 64
        assert not [name for name in generated if name.startswith("Exclude")]
        # A pool with the e-mail alias refuses user names that look like an address
        user = json.loads(generated["SecretStringTemplate"])
        assert "@" not in user["username"]
        assert "password" not in user

    def test_function_of_the_test_user_has_only_its_permissions(self, dev: DeployedTemplates) -> None:
        allowed = _allowed(dev, "users.handler")
        pool, secret = dev.output("UserPoolArn"), dev.output("TestUserSecretArn")
        assert {action for action, where in allowed if where == pool} == {
            "cognito-idp:AdminCreateUser",
            "cognito-idp:AdminDeleteUser",
            "cognito-idp:AdminSetUserPassword",
        }
        assert {action for action, where in allowed if where == secret} == {"secretsmanager:GetSecretValue"}

    def test_no_property_of_the_request_is_a_secret(self, dev: DeployedTemplates) -> None:
        user = dev["security"].only("Custom::TestUser")
        assert set(user) == {"ServiceToken", "ServiceTimeout", "UserPoolId", "SecretArn"}


class TestData:
    @pytest.mark.requirement("processing: process", "processing: capacity")
    def test_records_are_found_by_owner_status_and_time(self, deployment: DeployedTemplates) -> None:
        table = deployment["data"].only("AWS::DynamoDB::Table")
        assert table["KeySchema"] == [{"AttributeName": "owned_id", "KeyType": "HASH"}]
        (index,) = table["GlobalSecondaryIndexes"]
        assert index["IndexName"] == "by-status"
        assert index["KeySchema"] == [
            {"AttributeName": "owner_status", "KeyType": "HASH"},
            {"AttributeName": "recency", "KeyType": "RANGE"},
        ]

    def test_the_table_is_encrypted_recoverable_streamed_and_expires(self, deployment: DeployedTemplates) -> None:
        table = deployment["data"].only("AWS::DynamoDB::Table")
        assert deployment.text("data", table["SSESpecification"]["KMSMasterKeyId"]) == _key(deployment)
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}

    def test_on_demand_tables_have_no_provisioned_capacity(self) -> None:
        environment = changed(ENVIRONMENTS["dev"], {"services.studio.capacity": {"mode": "on-demand"}})
        assert isinstance(environment.services.studio.capacity, OnDemand)
        data = synthesis.deploy("dev, on demand", environment, Studio)["data"]
        assert data.only("AWS::DynamoDB::Table")["BillingMode"] == "PAY_PER_REQUEST"
        assert not data.of_type("AWS::ApplicationAutoScaling::ScalableTarget")

    @pytest.mark.requirement("processing: uploads")
    def test_objects_expire_and_versions_are_kept_as_configured(self, committed: DeployedTemplates) -> None:
        bucket = committed.behind(committed.output("BucketName"))["Properties"]
        uploads = committed.environment.services.studio.uploads
        days = {"dev": 7, "prod": 90}.get(committed.environment.name, uploads.expire_days)
        rules = bucket["LifecycleConfiguration"]["Rules"]
        assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == [days]
        assert (bucket.get("VersioningConfiguration") == {"Status": "Enabled"}) is uploads.versioned
        assert uploads.versioned or committed.environment.name != "prod"

    @pytest.mark.requirement("processing: uploads")
    def test_configured_origins_may_send_and_fetch_objects(self, deployment: DeployedTemplates) -> None:
        bucket = deployment.behind(deployment.output("BucketName"))["Properties"]
        (rule,) = bucket["CorsConfiguration"]["CorsRules"]
        assert set(rule["AllowedMethods"]) == {"GET", "PUT", "POST"}
        assert rule["AllowedOrigins"] == list(deployment.environment.cors.origins)


class TestFunctions:
    def test_worker_runs_three_times_before_dead_letters(self, deployment: DeployedTemplates) -> None:
        # Given the settings of asynchronous invocation
        compute = deployment["compute"]
        _, function = deployment.place_of_function("worker.handler")
        configs = [
            config
            for config in compute.properties_of("AWS::Lambda::EventInvokeConfig")
            if config["FunctionName"] == {"Ref": function}
        ]
        # Then the function and both aliases have them, and events that keep failing go to the queue
        qualifiers = "".join(deployment.text("compute", config["Qualifier"]) for config in configs)
        assert len(configs) == 3
        assert "$LATEST" in qualifiers
        assert all(alias in qualifiers for alias in deployment.aliases("worker.handler").values())
        for config in configs:
            assert config["MaximumRetryAttempts"] == 2
            assert config["MaximumEventAgeInSeconds"] <= 7200
            destination = deployment.text("compute", config["DestinationConfig"]["OnFailure"]["Destination"])
            assert deployment.behind(destination)["Type"] == "AWS::SQS::Queue"

    def test_the_api_invokes_live(self, deployment: DeployedTemplates) -> None:
        variables = deployment.function("api.handler")["Environment"]["Variables"]
        live = deployment.aliases("worker.handler")["live"]
        assert deployment.text("compute", variables["WORKER_ARN"]) == live
        assert ("lambda:InvokeFunction", live) in _allowed(deployment, "api.handler")


class TestObservability:
    def test_service_has_exactly_the_listed_alarms(self, deployment: DeployedTemplates) -> None:
        # Alarms of probes and objectives are tested in test_probe.py and test_objectives.py
        alarms = {
            name: alarm
            for name, alarm in deployment["observability"].of_type("AWS::CloudWatch::Alarm").items()
            if "Objectives" not in name and "Probe" not in name
        }
        watched = sorted(
            (alarm["Properties"]["Namespace"], alarm["Properties"]["MetricName"])
            if "MetricName" in alarm["Properties"]
            else ("AWS/ApiGateway", "4xx of all, %")
            for alarm in alarms.values()
        )
        assert watched == sorted(
            [
                *[("AWS/Lambda", name) for name in ("Errors", "Throttles", "Duration")] * 2,
                ("AWS/ApiGateway", "4xx of all, %"),
                ("AWS/ApiGateway", "5xx"),
                *[("AWS/DynamoDB", name) for name in ("ReadThrottleEvents", "WriteThrottleEvents")] * 2,
                *[("AWS/SQS", "ApproximateNumberOfMessagesVisible")] * (2 if deployment.environment.backup else 1),
            ]
        )

    def test_alarms_of_the_api_watch_its_stage(self, deployment: DeployedTemplates) -> None:
        for alarm in deployment["observability"].properties_of("AWS::CloudWatch::Alarm"):
            queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query]
            for metric in queries or ([alarm] if alarm["Namespace"] == "AWS/ApiGateway" else []):
                dimensions = {entry["Name"]: entry["Value"] for entry in metric["Dimensions"]}
                assert set(dimensions) == {"ApiId", "Stage"}
                assert deployment.text("observability", dimensions["ApiId"]) == deployment.output("ApiId")


def _allowed(deployment: DeployedTemplates, handler: str) -> set[tuple[str, str]]:
    """Return every action and resource that the function's role allows."""
    stack, _ = deployment.place_of_function(handler)
    template = deployment[stack]
    role = deployment.function(handler)["Role"]["Fn::GetAtt"][0]
    allowed = set()
    for policy in template.properties_of("AWS::IAM::ManagedPolicy"):
        if {"Ref": role} not in policy.get("Roles", []):
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"]
            resources: Any = statement["Resource"]
            assert statement["Effect"] == "Allow"
            for action in [actions] if isinstance(actions, str) else actions:
                assert "*" not in action
                allowed |= {(action, text) for text in deployment.texts(stack, resources)}
    return allowed
