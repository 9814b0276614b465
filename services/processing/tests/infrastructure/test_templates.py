"""Templates of `processing`: its own properties, in every environment and with other values."""

from __future__ import annotations

import pytest

from slipway.testing.app import in_variants
from slipway.testing.templates import DeployedTemplates

processing = in_variants(
    "processing",
    versioned_uploads_of_two_days=(
        -1,
        {"services.processing.uploads.versioned": True, "services.processing.uploads.expire_days": 2},
    ),
)


def test_all_but_health_require_a_token(processing: DeployedTemplates) -> None:
    kinds = {route: each["AuthorizationType"] for route, each in processing.routes().items()}

    assert {route for route, kind in kinds.items() if kind == "NONE"} == {"GET /health", "HEAD /health"}
    assert set(kinds.values()) == {"JWT", "NONE"}


def test_records_are_found_by_owner_status_and_time(processing: DeployedTemplates) -> None:
    table = processing["data"].only("AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "owned_id", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "by-status"
    # Each user and status has its own partition
    assert index["KeySchema"] == [
        {"AttributeName": "owner_status", "KeyType": "HASH"},
        {"AttributeName": "recency", "KeyType": "RANGE"},
    ]


def test_records_and_objects_expire_as_configured(processing: DeployedTemplates) -> None:
    uploads = processing.environment.services.processing.uploads
    bucket = processing.behind(processing.output("BucketName"))["Properties"]
    rules = bucket["LifecycleConfiguration"]["Rules"]

    assert [rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule] == [uploads.expire_days]
    assert (bucket.get("VersioningConfiguration") == {"Status": "Enabled"}) is uploads.versioned
    variables = processing.function("api.handler")["Environment"]["Variables"]
    assert variables["RECORD_DAYS"] == str(uploads.expire_days)
    assert variables["UPLOAD_MAX_BYTES"] == str(uploads.maximum_bytes)


@pytest.mark.requirement("functions")
def test_api_may_do_only_what_routes_need(processing: DeployedTemplates) -> None:
    table, key = processing.output("TableArn"), processing.output("KeyArn")
    name = processing.behind(processing.output("BucketName"))["Properties"]["BucketName"]
    bucket = f"arn:aws:s3:::{name}"
    live = processing.aliases("worker.handler")["live"]

    assert processing.work("api.handler") == {
        "dynamodb:GetItem": {table},
        "dynamodb:PutItem": {table},
        "dynamodb:Query": {f"{table}/index/by-status"},
        "lambda:InvokeFunction": {live},
        "s3:GetObject": {f"{bucket}/processed/*"},
        "s3:ListBucket": {bucket},
        "s3:PutObject": {f"{bucket}/uploads/*"},
        "kms:GenerateDataKey": {key},
    }
    variables = processing.function("api.handler")["Environment"]["Variables"]
    assert processing.text("compute", variables["WORKER_ARN"]) == live


@pytest.mark.requirement("functions")
def test_worker_may_do_only_what_a_job_needs(processing: DeployedTemplates) -> None:
    table, key = processing.output("TableArn"), processing.output("KeyArn")
    name = processing.behind(processing.output("BucketName"))["Properties"]["BucketName"]
    queue = processing.output("DeadLetterQueueUrl").replace(">", ".Arn>")

    assert processing.work("worker.handler") == {
        "dynamodb:GetItem": {table},
        "dynamodb:UpdateItem": {table},
        "s3:PutObject": {f"arn:aws:s3:::{name}/processed/*"},
        "kms:GenerateDataKey": {key},
        "sqs:SendMessage": {queue},
    }
