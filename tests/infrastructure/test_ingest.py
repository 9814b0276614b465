"""The templates of `ingest` (G1 to G8, and the P rows that are particular to it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.ingest.infrastructure import Ingest
from slipway.settings import Environment
from tests.infrastructure.matrix import SPECIMEN, changed
from tests.infrastructure.synthesis import Deployment, deploy

DOCUMENT = json.loads((Path(__file__).parents[2] / "services" / "ingest" / "openapi.json").read_text(encoding="utf-8"))
DEV, STAGING, PROD = (SPECIMEN.environment(name) for name in ("dev", "staging", "prod"))
ON_DEMAND = {"mode": "on-demand"}
CACHE = {"size_gb": "6.1", "ttl_seconds": 30}

VARIANTS: Mapping[str, Environment] = {
    "dev": DEV,
    "staging": STAGING,
    "prod": PROD,
    "prod, on demand, no cache": changed(
        PROD, {"services.ingest.capacity": ON_DEMAND, "services.ingest.stage_cache": None}
    ),
    "dev, cache": changed(DEV, {"services.ingest.stage_cache": CACHE}),
    "dev, new account": changed(
        DEV,
        {f"services.ingest.{name}.reserved_concurrency": None for name in ("api", "processor", "worker")}
        | {"alarms.emails": []},
    ),
    "dev, another plan and longer lives": changed(
        DEV,
        {
            "services.ingest.usage_plan": {"rate": 7, "burst": 9, "quota_per_day": 11},
            "services.ingest.throttle": {"rate": 13, "burst": 17},
            "services.ingest.record_hours": 50,
            "services.ingest.worker.timeout_seconds": 60,
        },
    ),
    "dev, GovCloud": changed(DEV, {"region": "us-gov-west-1"}),
}

FUNCTIONS = ("api.handler", "processor.handler", "worker.handler")

_BASE = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "kms:Decrypt",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}
_READER = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "kms:GenerateDataKey",
}
ACTIONS = {
    "api.handler": _BASE
    | {
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:SendMessage",
        "kms:GenerateDataKey",
    },
    "processor.handler": _BASE
    | _READER
    | {"dynamodb:Query", "dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"},
    "worker.handler": _BASE
    | _READER
    | {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:ListBucket"},
}


@cache
def synthesised(variant: str) -> Deployment:
    return deploy(variant, VARIANTS[variant], Ingest)


@pytest.fixture(params=VARIANTS)
def ingest(request: pytest.FixtureRequest) -> Deployment:
    """Each variant in turn."""
    return synthesised(request.param)


def settings(ingest: Deployment) -> Any:
    return ingest.environment.services.ingest


def queues(ingest: Deployment) -> dict[str, dict[str, Any]]:
    """The queues that outputs name, by the output."""
    names = ("JobQueueUrl", "JobDeadLetterQueueUrl", "WorkQueueUrl", "WorkDeadLetterQueueUrl", "DeadLetterQueueUrl")
    return {name: ingest.behind(ingest.output(name))["Properties"] for name in names}


def methods(ingest: Deployment) -> dict[str, dict[str, Any]]:
    """The API's methods by verb and path, without the preflights."""
    resources = ingest["compute"].of_type("AWS::ApiGateway::Resource")

    def path(reference: Any) -> str:
        if "Ref" not in reference:
            return ""
        properties = resources[reference["Ref"]]["Properties"]
        return f"{path(properties['ParentId'])}/{properties['PathPart']}"

    return {
        f"{method['HttpMethod']} {path(method['ResourceId'])}": method
        for method in ingest["compute"].properties_of("AWS::ApiGateway::Method")
        if method["HttpMethod"] != "OPTIONS"
    }


def stage(ingest: Deployment) -> dict[str, Any]:
    return ingest["compute"].only("AWS::ApiGateway::Stage")


def alarms(ingest: Deployment) -> list[dict[str, Any]]:
    return ingest["observability"].properties_of("AWS::CloudWatch::Alarm")


class TestApi:
    def test_routes_are_those_of_the_document(self, ingest: Deployment) -> None:
        documented = {f"{verb.upper()} {path}" for path, verbs in DOCUMENT["paths"].items() for verb in verbs}
        # And what can be read is answered for HEAD, too
        heads = {route.replace("GET", "HEAD") for route in documented if route.startswith("GET")}
        assert set(methods(ingest)) == documented | heads

    def test_all_but_health_ask_for_a_key(self, ingest: Deployment) -> None:
        keyed = {route for route, method in methods(ingest).items() if method.get("ApiKeyRequired")}
        assert keyed == set(methods(ingest)) - {"GET /health", "HEAD /health"}

    def test_health_is_answered_by_the_gateway(self, ingest: Deployment) -> None:
        for verb in ("GET", "HEAD"):
            integration = methods(ingest)[f"{verb} /health"]["Integration"]
            assert integration["Type"] == "MOCK"
            (answer,) = integration["IntegrationResponses"]
            body = json.loads(answer["ResponseTemplates"]["application/json"])
            assert body == {"status": "ok", "environment": ingest.environment.name}

    def test_the_gateway_checks_what_it_can(self, ingest: Deployment) -> None:
        found = methods(ingest)
        assert "application/json" in found["POST /data"]["RequestModels"]
        assert found["GET /data"]["RequestParameters"]["method.request.querystring.id"] is True
        model = ingest["compute"].only("AWS::ApiGateway::Model")["Schema"]
        assert model["required"] == ["payload"]
        # An over-long payload is a 413 of the handler, not a 400 of the gateway.
        assert "maxLength" not in model["properties"]["payload"]

    def test_the_usage_plan_is_as_configured(self, ingest: Deployment) -> None:
        plan = ingest["compute"].only("AWS::ApiGateway::UsagePlan")
        wanted = settings(ingest).usage_plan
        assert plan["Throttle"] == {"RateLimit": wanted.rate, "BurstLimit": wanted.burst}
        assert plan["Quota"] == {"Limit": wanted.quota_per_day, "Period": "DAY"}
        assert len(plan["ApiStages"]) == 1
        key = ingest["compute"].only("AWS::ApiGateway::UsagePlanKey")
        assert ingest.text("compute", key["KeyId"]) == ingest.output("ApiKeyId")

    def test_the_keys_value_is_in_no_template(self, ingest: Deployment) -> None:
        assert "Value" not in ingest["compute"].only("AWS::ApiGateway::ApiKey")

    def test_figures_of_the_usage_plan_and_of_the_stage(self) -> None:
        plan = synthesised("prod")["compute"].only("AWS::ApiGateway::UsagePlan")
        assert plan["Throttle"] == {"RateLimit": 100, "BurstLimit": 200}
        assert plan["Quota"] == {"Limit": 10_000, "Period": "DAY"}
        general = next(entry for entry in stage(synthesised("prod"))["MethodSettings"] if entry["HttpMethod"] == "*")
        assert (general["ThrottlingRateLimit"], general["ThrottlingBurstLimit"]) == (1000, 2000)


class TestStageCache:
    def test_only_reading_a_record_is_cached_and_encrypted(self, ingest: Deployment) -> None:
        cache = settings(ingest).stage_cache
        cached = [entry for entry in stage(ingest)["MethodSettings"] if entry.get("CachingEnabled")]
        if cache is None:
            assert not cached
            assert not stage(ingest).get("CacheClusterEnabled")
            return
        assert stage(ingest)["CacheClusterEnabled"] is True
        assert stage(ingest)["CacheClusterSize"] == cache.size_gb
        (entry,) = cached
        assert (entry["ResourcePath"], entry["HttpMethod"]) == ("/~1data", "GET")
        assert entry["CacheDataEncrypted"] is True
        assert entry["CacheTtlInSeconds"] == cache.ttl_seconds

    def test_a_cached_method_keeps_the_stages_other_settings(self, ingest: Deployment) -> None:
        general, *special = sorted(stage(ingest)["MethodSettings"], key=lambda entry: entry["HttpMethod"] != "*")
        kept = ("LoggingLevel", "DataTraceEnabled", "MetricsEnabled", "ThrottlingRateLimit", "ThrottlingBurstLimit")
        for entry in special:
            assert {key: entry.get(key) for key in kept} == {key: general.get(key) for key in kept}

    def test_cached_answers_are_told_apart_by_id_key_and_origin(self, ingest: Deployment) -> None:
        # Given that a key check does not make a cached answer its caller's own, and that an answer names its origin
        method = methods(ingest)["GET /data"]
        keys = set(method["Integration"]["CacheKeyParameters"])
        assert keys == {
            "method.request.querystring.id",
            "method.request.header.X-Api-Key",
            "method.request.header.Origin",
        }
        assert keys <= set(method["RequestParameters"])

    def test_figures(self) -> None:
        for name in ("staging", "prod"):
            cached = next(entry for entry in stage(synthesised(name))["MethodSettings"] if entry.get("CachingEnabled"))
            assert (stage(synthesised(name))["CacheClusterSize"], cached["CacheTtlInSeconds"]) == ("0.5", 600)


class TestQueues:
    def test_all_are_encrypted_with_the_services_key_and_refuse_plain_http(self, ingest: Deployment) -> None:
        key = ingest.output("KeyArn")
        policies = json.dumps(ingest["compute"].properties_of("AWS::SQS::QueuePolicy"))
        assert policies.count('"aws:SecureTransport": "false"') == len(queues(ingest)) == 5
        for queue in queues(ingest).values():
            assert ingest.text("compute", queue["KmsMasterKeyId"]) == key

    @pytest.mark.parametrize(("name", "reader"), [("Job", "processor"), ("Work", "worker")])
    def test_visibility_is_six_time_outs_and_five_receives_are_the_end(
        self, ingest: Deployment, name: str, reader: str
    ) -> None:
        queue = queues(ingest)[f"{name}QueueUrl"]
        assert queue["VisibilityTimeout"] >= 6 * getattr(settings(ingest), reader).timeout_seconds
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
        variables = ingest.function(f"{reader}.handler")["Environment"]["Variables"]
        assert variables["MAX_RECEIVES"] == "5"
        target = ingest.text("compute", queue["RedrivePolicy"]["deadLetterTargetArn"])
        assert target == ingest.output(f"{name}DeadLetterQueueUrl").replace(">", ".Arn>")

    def test_a_job_ends_when_no_message_of_it_can_be_received_again(self, ingest: Deployment) -> None:
        visible = [queues(ingest)[name]["VisibilityTimeout"] for name in ("JobQueueUrl", "WorkQueueUrl")]
        variables = ingest.function("api.handler")["Environment"]["Variables"]
        assert int(variables["DEADLINE_SECONDS"]) == 5 * sum(visible)

    @pytest.mark.parametrize(("name", "handler"), [("Job", "processor.handler"), ("Work", "worker.handler")])
    def test_the_alias_live_reads_and_answers_message_by_message(
        self, ingest: Deployment, name: str, handler: str
    ) -> None:
        queue = ingest.output(f"{name}QueueUrl").replace(">", ".Arn>")
        mapping = ingest["compute"].only(
            "AWS::Lambda::EventSourceMapping",
            lambda properties: ingest.text("compute", properties["EventSourceArn"]) == queue,
        )
        # `live` of the alias's own ARN: CDK takes the function's name out of it.
        read = ingest.text("compute", mapping["FunctionName"])
        assert read == f"select(6,split(:,{ingest.aliases(handler)['live']})):live"
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        reserved = ingest.function(handler).get("ReservedConcurrentExecutions")
        # A throttled batch is received in vain, and the contract check of a new version needs room beside the batches.
        wanted = {"MaximumConcurrency": reserved - 2} if reserved else None
        assert mapping.get("ScalingConfig") == wanted


class TestFunctions:
    @pytest.mark.parametrize("handler", FUNCTIONS)
    def test_they_are_of_the_configured_size(self, ingest: Deployment, handler: str) -> None:
        wanted = getattr(settings(ingest), handler.partition(".")[0])
        function = ingest.function(handler)
        assert (function["Timeout"], function["MemorySize"]) == (wanted.timeout_seconds, wanted.memory_mb)
        assert function.get("ReservedConcurrentExecutions") == wanted.reserved_concurrency

    def test_figures(self) -> None:
        def sizes(name: str) -> list[tuple[int, int, int]]:
            functions = [synthesised(name).function(handler) for handler in FUNCTIONS]
            return [
                (function["Timeout"], function["MemorySize"], function["ReservedConcurrentExecutions"])
                for function in functions
            ]

        assert sizes("prod") == [(30, 256, 50), (300, 512, 10), (900, 1024, 5)]
        assert sizes("dev") == [(30, 256, 5), (300, 512, 4), (900, 1024, 4)]

    @pytest.mark.parametrize("handler", FUNCTIONS)
    def test_each_may_do_exactly_what_it_does(self, ingest: Deployment, handler: str) -> None:
        reached = permissions(ingest, handler)
        assert set(reached) == ACTIONS[handler]
        for action, resources in reached.items():
            if not action.startswith("xray:"):
                assert "*" not in resources

    def test_payloads_and_plans_are_apart(self, ingest: Deployment) -> None:
        bucket = ingest.behind(ingest.output("BucketName"))["Properties"]["BucketName"]
        reached = {
            handler: {arn.partition(":::")[2] for arn in permissions(ingest, handler)["s3:GetObject"]}
            for handler in FUNCTIONS
        }
        assert reached == {
            "api.handler": {f"{bucket}/payloads/*"},
            "processor.handler": {f"{bucket}/jobs/*"},
            "worker.handler": {f"{bucket}/payloads/*"},
        }

    @pytest.mark.parametrize("handler", FUNCTIONS)
    def test_traffic_moves_safely(self, ingest: Deployment, handler: str) -> None:
        groups = ingest["compute"].properties_of("AWS::CodeDeploy::DeploymentGroup")
        assert len(groups) == 3
        alias = ingest.behind(ingest.aliases(handler)["live"])
        assert "BeforeAllowTrafficHook" in alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]


class TestData:
    def test_records_and_jobs_expire(self, ingest: Deployment) -> None:
        for output in ("TableName", "JobsTableName"):
            table = ingest.behind(ingest.output(output))["Properties"]
            assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert ingest.function("api.handler")["Environment"]["Variables"]["RECORD_HOURS"] == str(
            settings(ingest).record_hours
        )

    def test_payloads_and_plans_go_after_their_records(self, ingest: Deployment) -> None:
        rules = ingest.behind(ingest.output("BucketName"))["Properties"]["LifecycleConfiguration"]["Rules"]
        expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
        assert set(expiring) == {"payloads/", "jobs/"}
        for days in expiring.values():
            assert settings(ingest).record_hours + 24 <= 24 * days <= settings(ingest).record_hours + 48

    def test_the_index_holds_pending_records_by_key_alone(self, ingest: Deployment) -> None:
        (index,) = ingest.behind(ingest.output("TableName"))["Properties"]["GlobalSecondaryIndexes"]
        assert index["IndexName"] == "by-pending"
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}

    def test_capacity_is_as_configured_on_table_and_index(self, ingest: Deployment) -> None:
        table = ingest.behind(ingest.output("TableName"))["Properties"]
        targets = ingest["data"].properties_of("AWS::ApplicationAutoScaling::ScalableTarget")
        if settings(ingest).capacity.mode == "on-demand":
            assert table["BillingMode"] == "PAY_PER_REQUEST"
            assert not targets
            return
        units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
        assert table["ProvisionedThroughput"] == units
        assert table["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] == units
        assert len(targets) == 4
        assert {(target["MinCapacity"], target["MaxCapacity"]) for target in targets} == {(5, 100)}


class TestObservability:
    @pytest.mark.parametrize("handler", FUNCTIONS)
    def test_functions_alarm_on_errors_throttles_and_duration(self, ingest: Deployment, handler: str) -> None:
        stack, key = ingest.place_of_function(handler)
        of = {
            alarm["MetricName"]: alarm
            for alarm in alarms(ingest)
            if "Metrics" not in alarm
            and [ingest.text("observability", entry["Value"]) for entry in alarm.get("Dimensions", [])]
            == [f"<{stack}/{key}>"]
        }
        assert set(of) == {"Errors", "Throttles", "Duration"}
        assert (of["Errors"]["ComparisonOperator"], of["Errors"]["Threshold"]) == ("GreaterThanThreshold", 4)
        assert (of["Errors"]["EvaluationPeriods"], of["Errors"]["DatapointsToAlarm"]) == (2, 2)
        assert of["Throttles"]["Threshold"] == 1
        assert of["Duration"]["Threshold"] == 800 * ingest.function(handler)["Timeout"]

    def test_the_api_alarms(self, ingest: Deployment) -> None:
        (failed,) = (alarm for alarm in alarms(ingest) if alarm.get("Namespace") == "AWS/ApiGateway")
        assert failed["MetricName"] == "5XXError"
        assert (failed["ComparisonOperator"], failed["Threshold"]) == ("GreaterThanThreshold", 4)
        (refused,) = (alarm for alarm in alarms(ingest) if "Metrics" in alarm)
        assert refused["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert refused["Threshold"] == ingest.environment.alarms.client_error_percent

    def test_user_errors_alarm_and_say_that_they_count_the_account(self, ingest: Deployment) -> None:
        (alarm,) = (alarm for alarm in alarms(ingest) if alarm.get("MetricName") == "UserErrors")
        assert "Dimensions" not in alarm
        assert alarm["Threshold"] == 5
        assert "account" in alarm["AlarmDescription"]

    def test_queues_alarm_on_age_and_dead_letters_on_anything(self, ingest: Deployment) -> None:
        watched: dict[str, set[str]] = {}
        for alarm in alarms(ingest):
            if alarm.get("Namespace") == "AWS/SQS":
                (queue,) = (ingest.text("observability", entry["Value"]) for entry in alarm["Dimensions"])
                watched.setdefault(alarm["MetricName"], set()).add(queue.replace(".QueueName", ""))
        assert watched["ApproximateAgeOfOldestMessage"] == {
            ingest.output(name) for name in ("JobQueueUrl", "WorkQueueUrl")
        }
        assert watched["ApproximateNumberOfMessagesVisible"] == {
            ingest.output(name) for name in ("JobDeadLetterQueueUrl", "WorkDeadLetterQueueUrl", "DeadLetterQueueUrl")
        }

    def test_the_dashboard_shows_age_and_depth_of_every_queue(self, ingest: Deployment) -> None:
        dashboard = ingest["observability"].only("AWS::CloudWatch::Dashboard")
        body = ingest.text("observability", dashboard["DashboardBody"])
        for name in queues(ingest):
            reference = ingest.output(name).replace(">", ".QueueName>")
            for metric in ("ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"):
                assert f'"{metric}","QueueName","{reference}"' in body


def permissions(ingest: Deployment, handler: str) -> dict[str, set[str]]:
    """Actions and the resources that each reaches, of the role of a function."""
    stack, _ = ingest.place_of_function(handler)
    role = ingest.function(handler)["Role"]["Fn::GetAtt"][0]
    reached: dict[str, set[str]] = {}
    for policy in ingest[stack].properties_of("AWS::IAM::ManagedPolicy"):
        if {"Ref": role} not in policy["Roles"]:
            continue
        for statement in policy["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            for action in actions:
                reached.setdefault(action, set()).update(ingest.texts(stack, statement["Resource"]))
    return reached
