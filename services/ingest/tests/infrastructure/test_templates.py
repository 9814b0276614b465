"""Templates of `ingest`: its own properties, in every environment and with other values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.testing.app import in_variants
from slipway.testing.templates import DeployedTemplates

ingest = in_variants(
    "ingest",
    longer_lives=(0, {"services.ingest.record_hours": 50, "services.ingest.worker.timeout_seconds": 60}),
)

_READER = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "kms:GenerateDataKey",
}
ACTIONS = {
    "api.handler": {
        *("dynamodb:GetItem", "dynamodb:PutItem", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
        *("sqs:SendMessage", "kms:GenerateDataKey"),
    },
    "processor.handler": {
        *_READER,
        *("dynamodb:Query", "dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:PutObject"),
    },
    "worker.handler": {
        *_READER,
        *("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "s3:GetObject", "s3:ListBucket"),
    },
}
"""Permissions of each function, besides those of every function."""


def settings(ingest: DeployedTemplates) -> Any:
    return ingest.environment.services.ingest


def alarms(ingest: DeployedTemplates) -> list[dict[str, Any]]:
    found = ingest["observability"].of_type("AWS::CloudWatch::Alarm")
    return [alarm["Properties"] for name, alarm in found.items() if "Objectives" not in name and "Probe" not in name]


class TestApi:
    @pytest.mark.requirement("ingest: routes")
    def test_all_but_health_require_a_key(self, ingest: DeployedTemplates) -> None:
        keyed = {route for route, method in ingest.routes().items() if method.get("ApiKeyRequired")}
        assert keyed == set(ingest.routes()) - {"GET /health", "HEAD /health"}

    @pytest.mark.requirement("ingest: routes")
    def test_health_is_answered_by_the_gateway(self, ingest: DeployedTemplates) -> None:
        for verb in ("GET", "HEAD"):
            integration = ingest.routes()[f"{verb} /health"]["Integration"]
            assert integration["Type"] == "MOCK"
            (answer,) = integration["IntegrationResponses"]
            body = json.loads(answer["ResponseTemplates"]["application/json"])
            assert body == {"status": "ok", "environment": ingest.environment.name}

    @pytest.mark.requirement("ingest: routes")
    def test_the_gateway_checks_what_it_can(self, ingest: DeployedTemplates) -> None:
        found = ingest.routes()
        assert "application/json" in found["POST /data"]["RequestModels"]
        assert found["GET /data"]["RequestParameters"]["method.request.querystring.id"] is True
        model = ingest["compute"].only("AWS::ApiGateway::Model")["Schema"]
        assert model["required"] == ["payload"]
        # An over-long payload gets a 413 from the handler, not a 400 from the gateway
        assert "maxLength" not in model["properties"]["payload"]


class TestStageCache:
    @pytest.mark.requirement(
        "ingest: the stage cache", "ingest: a stage cache that caches nothing, or returns one record for another"
    )
    def test_cached_answers_differ_by_id_key_and_origin(self, ingest: DeployedTemplates) -> None:
        # Given that a key check does not bind a cached answer to its caller, and that an answer names its origin
        method = ingest.routes()["GET /data"]
        keys = set(method["Integration"]["CacheKeyParameters"])
        assert keys == {
            "method.request.querystring.id",
            "method.request.header.X-Api-Key",
            "method.request.header.Origin",
        }
        assert keys <= set(method["RequestParameters"])
        # And nothing else is cached
        settings = ingest["compute"].only("AWS::ApiGateway::Stage")["MethodSettings"]
        assert {entry["ResourcePath"] for entry in settings if entry.get("CachingEnabled")} <= {"/~1data"}


class TestQueues:
    @pytest.mark.parametrize("reader", ["processor.handler", "worker.handler"])
    def test_readers_know_how_often_a_message_is_received(self, ingest: DeployedTemplates, reader: str) -> None:
        assert ingest.function(reader)["Environment"]["Variables"]["MAX_RECEIVES"] == "5"

    def test_job_ends_when_no_message_can_arrive_again(self, ingest: DeployedTemplates) -> None:
        queues = (ingest.behind(ingest.output(name))["Properties"] for name in ("JobQueueUrl", "WorkQueueUrl"))
        variables = ingest.function("api.handler")["Environment"]["Variables"]
        assert int(variables["DEADLINE_SECONDS"]) == 5 * sum(queue["VisibilityTimeout"] for queue in queues)


class TestFunctions:
    @pytest.mark.requirement("functions")
    @pytest.mark.parametrize("handler", ACTIONS)
    def test_each_function_has_exactly_its_permissions(self, ingest: DeployedTemplates, handler: str) -> None:
        reached = ingest.work(handler)
        assert set(reached) == ACTIONS[handler]
        assert not any("*" in resources for resources in reached.values())

    def test_payloads_and_plans_have_separate_permissions(self, ingest: DeployedTemplates) -> None:
        bucket = ingest.behind(ingest.output("BucketName"))["Properties"]["BucketName"]
        reached = {
            handler: {arn.partition(":::")[2] for arn in ingest.permissions(handler)["s3:GetObject"]}
            for handler in ACTIONS
        }
        assert reached == {
            "api.handler": {f"{bucket}/payloads/*"},
            "processor.handler": {f"{bucket}/jobs/*"},
            "worker.handler": {f"{bucket}/payloads/*"},
        }


class TestData:
    @pytest.mark.requirement("ingest: records")
    def test_records_and_jobs_expire(self, ingest: DeployedTemplates) -> None:
        for output in ("TableName", "JobsTableName"):
            table = ingest.behind(ingest.output(output))["Properties"]
            assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert ingest.function("api.handler")["Environment"]["Variables"]["RECORD_HOURS"] == str(
            settings(ingest).record_hours
        )

    @pytest.mark.requirement("ingest: records")
    def test_payloads_and_plans_expire_after_their_records(self, ingest: DeployedTemplates) -> None:
        rules = ingest.behind(ingest.output("BucketName"))["Properties"]["LifecycleConfiguration"]["Rules"]
        expiring = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
        assert set(expiring) == {"payloads/", "jobs/"}
        for days in expiring.values():
            assert settings(ingest).record_hours + 24 <= 24 * days <= settings(ingest).record_hours + 48

    def test_the_index_has_only_pending_records_by_key(self, ingest: DeployedTemplates) -> None:
        (index,) = ingest.behind(ingest.output("TableName"))["Properties"]["GlobalSecondaryIndexes"]
        assert index["IndexName"] == "by-pending"
        assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}


class TestObservability:
    @pytest.mark.requirement("ingest: alarms")
    def test_the_api_alarms(self, ingest: DeployedTemplates) -> None:
        (failed,) = (alarm for alarm in alarms(ingest) if alarm.get("Namespace") == "AWS/ApiGateway")
        assert failed["MetricName"] == "5XXError"
        assert (failed["ComparisonOperator"], failed["Threshold"]) == ("GreaterThanThreshold", 4)
        (refused,) = (alarm for alarm in alarms(ingest) if "Metrics" in alarm)
        assert refused["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert refused["Threshold"] == ingest.environment.alarms.client_error_percent

    @pytest.mark.requirement("ingest: alarms")
    def test_user_errors_alarm_says_that_it_covers_the_account(self, ingest: DeployedTemplates) -> None:
        (alarm,) = (alarm for alarm in alarms(ingest) if alarm.get("MetricName") == "UserErrors")
        assert "Dimensions" not in alarm
        assert alarm["Threshold"] == 5
        assert "account" in alarm["AlarmDescription"]
