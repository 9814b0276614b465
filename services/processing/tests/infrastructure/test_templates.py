"""The templates of `processing`: what is particular to it, in every environment and with other values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.testing.app import changed_deployment, deployment
from slipway.testing.app import settings as committed
from slipway.testing.templates import DeployedTemplates

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi.json").read_text(encoding="utf-8"))
ENVIRONMENTS = [environment.name for environment in committed().environments]
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **{name: (name, {}) for name in ENVIRONMENTS},
    "uploads of two days, in versions": (
        ENVIRONMENTS[-1],
        {"services.processing.uploads.versioned": True, "services.processing.uploads.expire_days": 2},
    ),
}
"""Name → environment, and what differs from it."""


@pytest.fixture(params=VARIANTS)
def processing(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Each variant in turn."""
    environment, changes = VARIANTS[request.param]
    return changed_deployment(environment, "processing", changes) if changes else deployment(environment, "processing")


def test_routes_are_those_of_the_document_and_want_a_token(processing: DeployedTemplates) -> None:
    documented = {f"{verb.upper()} {path}" for path, verbs in DOCUMENT["paths"].items() for verb in verbs}
    # What can be read is answered for HEAD, too
    heads = {route.replace("GET", "HEAD") for route in documented if route.startswith("GET")}
    routes = {
        route["RouteKey"]: route["AuthorizationType"]
        for route in processing["compute"].properties_of("AWS::ApiGatewayV2::Route")
    }

    assert set(routes) == documented | heads
    assert {route for route, kind in routes.items() if kind == "NONE"} == {"GET /health", "HEAD /health"}
    assert set(routes.values()) == {"JWT", "NONE"}


def test_records_are_found_by_owner_status_and_time(processing: DeployedTemplates) -> None:
    table = processing["data"].only("AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "owned_id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by-status"
    # Each user and status is a partition of its own
    assert index["KeySchema"] == [
        {"AttributeName": "owner_status", "KeyType": "HASH"},
        {"AttributeName": "recency", "KeyType": "RANGE"},
    ]


def test_records_and_objects_live_as_configured(processing: DeployedTemplates) -> None:
    uploads = processing.environment.services.processing.uploads
    bucket = processing.behind(processing.output("BucketName"))["Properties"]
    rules = bucket["LifecycleConfiguration"]["Rules"]

    assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == [uploads.expire_days]
    assert (bucket.get("VersioningConfiguration") == {"Status": "Enabled"}) is uploads.versioned
    variables = processing.function("api.handler")["Environment"]["Variables"]
    assert variables["RECORD_DAYS"] == str(uploads.expire_days)
    assert variables["UPLOAD_MAX_BYTES"] == str(uploads.maximum_bytes)


def test_pages_of_the_configured_origins_may_send_and_fetch_objects(processing: DeployedTemplates) -> None:
    bucket = processing.behind(processing.output("BucketName"))["Properties"]
    (rule,) = bucket["CorsConfiguration"]["CorsRules"]
    assert set(rule["AllowedMethods"]) == {"GET", "PUT", "POST"}
    assert rule["AllowedOrigins"] == list(processing.environment.cors.origins)


def test_the_test_user_is_there_as_configured(processing: DeployedTemplates) -> None:
    wanted = processing.environment.services.processing.user_pool.test_user
    assert bool(processing["security"].of_type("Custom::TestUser")) is wanted
    assert ("TestUserSecretArn" in processing["security"].outputs) is wanted


@pytest.mark.requirement("functions")
def test_api_may_do_only_what_routes_need(processing: DeployedTemplates) -> None:
    table, key = processing.output("TableArn"), processing.output("KeyArn")
    name = processing.behind(processing.output("BucketName"))["Properties"]["BucketName"]
    bucket = f"arn:aws:s3:::{name}"
    live = processing.aliases("worker.handler")["live"]

    assert _work(processing, "api.handler") == {
        ("dynamodb:GetItem", table),
        ("dynamodb:PutItem", table),
        ("dynamodb:Query", f"{table}/index/by-status"),
        ("lambda:InvokeFunction", live),
        ("s3:GetObject", f"{bucket}/processed/*"),
        ("s3:ListBucket", bucket),
        ("s3:PutObject", f"{bucket}/uploads/*"),
        ("kms:GenerateDataKey", key),
    }
    variables = processing.function("api.handler")["Environment"]["Variables"]
    assert processing.text("compute", variables["WORKER_ARN"]) == live


@pytest.mark.requirement("functions")
def test_worker_may_do_only_what_a_job_needs(processing: DeployedTemplates) -> None:
    table, key = processing.output("TableArn"), processing.output("KeyArn")
    name = processing.behind(processing.output("BucketName"))["Properties"]["BucketName"]
    queue = processing.output("DeadLetterQueueUrl").replace(">", ".Arn>")

    assert _work(processing, "worker.handler") == {
        ("dynamodb:GetItem", table),
        ("dynamodb:UpdateItem", table),
        ("s3:PutObject", f"arn:aws:s3:::{name}/processed/*"),
        ("kms:GenerateDataKey", key),
        ("sqs:SendMessage", queue),
    }


def _work(processing: DeployedTemplates, handler: str) -> set[tuple[str, str]]:
    """Actions and resources of a function's role, without what every function has: log, traces, key of variables."""
    return {
        (action, where)
        for action, resources in processing.permissions(handler).items()
        for where in resources
        if not action.startswith(("logs:", "xray:")) and action != "kms:Decrypt"
    }
