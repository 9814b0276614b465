"""Templates of `items`: its own properties, in every environment and with other values."""

from __future__ import annotations

import json

import pytest

from slipway.testing.app import in_variants
from slipway.testing.templates import DeployedTemplates

items = in_variants("items", on_demand=(-1, {"services.items.capacity": {"mode": "on-demand"}}))

_WRITES = {"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"}


def test_writes_are_signed_and_their_bodies_are_validated(items: DeployedTemplates) -> None:
    methods = items.routes()

    signed = {route for route, method in methods.items() if method["AuthorizationType"] == "AWS_IAM"}
    assert signed == {"POST /items", "PUT /items/{id}", "DELETE /items/{id}"}
    assert {route for route, method in methods.items() if "RequestModels" in method} == signed - {"DELETE /items/{id}"}


@pytest.mark.requirement("items: an index with one partition for all")
def test_items_are_found_over_spread_partitions(items: DeployedTemplates) -> None:
    table = items.behind(items.output("TableName"))["Properties"]
    keys = {
        index["IndexName"]: {key["KeyType"]: key["AttributeName"] for key in index["KeySchema"]}
        for index in table["GlobalSecondaryIndexes"]
    }

    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert keys == {
        "by-recency": {"HASH": "shard", "RANGE": "recency"},
        "by-status": {"HASH": "status_shard", "RANGE": "recency"},
    }


def test_answers_to_keyed_requests_expire(items: DeployedTemplates) -> None:
    table = items.behind(items.output("IdempotencyTableName"))["Properties"]

    assert table["TimeToLiveSpecification"] == {"AttributeName": "expiration", "Enabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_api_may_do_only_what_routes_need(items: DeployedTemplates) -> None:
    table = items.output("TableArn")
    idempotency = items.output("IdempotencyTableName").replace(">", ".Arn>")

    assert items.work("api.handler") == {
        **{action: {table, idempotency} for action in _WRITES},
        "dynamodb:GetItem": {table},
        "dynamodb:Query": {f"{table}/index/by-recency", f"{table}/index/by-status"},
        "secretsmanager:GetSecretValue": {items.output("CursorSecretArn"), items.output("OriginSecretArn")},
    }


def test_the_stream_reader_only_gets_creations(items: DeployedTemplates) -> None:
    (mapping,) = items["compute"].properties_of("AWS::Lambda::EventSourceMapping")
    (pattern,) = mapping["FilterCriteria"]["Filters"]
    idempotency = items.output("IdempotencyTableName").replace(">", ".Arn>")
    bucket = items.behind(items.output("BucketName"))["Properties"]["BucketName"]
    work = items.work("stream.handler")

    assert json.loads(pattern["Pattern"]) == {"eventName": ["INSERT"]}
    assert {action: work[action] for action in _WRITES} == {action: {idempotency} for action in _WRITES}
    assert {arn.partition(":::")[2] for arn in work["s3:PutObject"]} == {f"{bucket}/items/*"}
    assert work["sns:Publish"] == {items.output("NotificationTopicArn")}
    assert not {"s3:GetObject", "s3:DeleteObject"} & set(work)


def test_cached_answers_are_distinguished_by_query(items: DeployedTemplates) -> None:
    policies = items["compute"].properties_of("AWS::CloudFront::CachePolicy")
    queries = [
        policy["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]["QueryStringsConfig"].get(
            "QueryStrings", []
        )
        for policy in policies
    ]

    assert {"cursor", "limit", "status"} in [set(each) for each in queries]
