"""The routes of `items` over HTTPS: every answer of every route, and who may use which."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from services.items.tests.local.items import create
from slipway.emulator.environment import Outputs
from slipway.emulator.server import Credentials
from slipway.testing.emulated import Request
from slipway.testing.problems import assert_problem


@pytest.fixture
def item(signed: Request) -> dict[str, Any]:
    """Create an item of version 1."""
    return create(signed, description="boils", data={"litres": 1.7}, status="draft")


# Creating


@pytest.mark.requirement("items: routes")
def test_an_item_is_created(signed: Request, outputs: Outputs) -> None:
    # Given the fields that a writer sets
    given = {
        "name": "Wasserkocher ☕ 水壶",
        "description": "kocht",
        "data": {"tags": ["a", None, True]},
        "status": "new",
    }
    # When the item is posted
    response = signed("POST", "/items", json=given)
    # Then the answer is the item, with the fields that the service sets
    assert response.status_code == 201
    item = response.json()
    assert {name: item[name] for name in given} == given
    assert item["version"] == 1
    assert item["created_at"] == item["updated_at"]
    assert response.headers["etag"] == '"1"'
    # The location resolves to the item's address, including the stage
    place = f"{outputs['items']['ApiEndpoint']}items/{item['id']}"
    assert str(response.url.join(response.headers["location"])) == place
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.exercises("items/ApiFunction")
def test_a_repeated_key_returns_the_first_answer(signed: Request) -> None:
    # Given an item created with a key
    key = {"Idempotency-Key": uuid4().hex}
    first = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    assert first.status_code == 201
    # When the request is repeated
    again = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    # Then the answer is the same, including headers
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    # When the key is used with another body
    other = signed("POST", "/items", json={"name": "teapot"}, headers=key)
    # Then it is refused
    assert_problem(other, 422, "Idempotency-Key")


# Reading


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize("path", ["/items/{id}", "/items?status=draft&limit=3"])
def test_an_unchanged_answer_is_not_sent_again(edge: Request, item: dict[str, Any], path: str) -> None:
    # Given an answer with its tag
    path = path.format(**item)
    tag = edge("GET", path).headers["etag"]
    # When the client asks whether it has changed
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        response = edge("GET", path, headers={"If-None-Match": known})
        # Then the answer is empty, with the tag
        assert response.status_code == 304
        assert response.content == b""
        assert response.headers["etag"] == tag
    # But with another tag, the whole body is sent
    assert edge("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200


# The health check


@pytest.mark.requirement("versions and aliases", "items: health")
def test_health_reports_the_running_version(
    unsigned: Request, session: Callable[..., boto3.Session], outputs: Outputs
) -> None:
    response = unsigned("GET", "/health")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    health = response.json()
    name, alias = outputs["items"]["ApiFunctionArn"].split(":")[6:]
    live = session().client("lambda").get_alias(FunctionName=name, Name=alias)
    assert health.pop("remaining_time_ms") in range(1, 30_000)
    assert health == {"status": "ok", "environment": "dev", "function_version": live["FunctionVersion"]}


# Access


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-HTTP-Method-Override", "HEAD"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-HTTP-Method", "HEAD"),
        ("X-Method-Override", "HEAD"),
        ("X-Original-URL", "/health"),
        ("X-Forwarded-Host", "evil.example"),
        ("Content-Encoding", "gzip"),
        ("Cookie", "session=stolen"),
        ("Range", "bytes=0-0"),
    ],
)
def test_no_header_of_a_viewer_changes_what_others_read(
    edge: Request, item: dict[str, Any], name: str, value: str
) -> None:
    # Given that the edge caches answers under a key that does not include the header
    path = f"/items/{item['id']}"
    plain = edge("GET", path)
    assert plain.json() == item

    # Then a viewer who sends it gets what everyone gets
    hostile = edge("GET", path, headers={name: value})
    assert (hostile.status_code, hostile.content) == (200, plain.content)


@pytest.mark.requirement("items: the edge")
def test_the_api_behind_the_edge_follows_an_override(
    unsigned: Request, session: Callable[..., boto3.Session], outputs: Outputs, item: dict[str, Any]
) -> None:
    # Given the header that CloudFront sends
    secret = session().client("secretsmanager").get_secret_value(SecretId=outputs["items"]["OriginSecretArn"])
    headers = {"X-Origin-Verify": json.loads(secret["SecretString"])["header"]}
    assert unsigned("GET", f"/items/{item['id']}", headers=headers).json() == item

    # When it also forwarded the viewer's header, then one viewer would decide what all later ones get
    overridden = unsigned("GET", f"/items/{item['id']}", headers={**headers, "X-HTTP-Method-Override": "OPTIONS"})
    assert overridden.is_success
    assert overridden.content == b""


@pytest.mark.requirement("items: the edge")
def test_the_edge_refuses_writes(edge: Request) -> None:
    assert edge("POST", "/items", json={"name": "kettle"}).status_code == 403


@pytest.mark.requirement("items: access")
def test_writers_reach_nothing_behind_the_api(
    session: Callable[..., boto3.Session], caller: Credentials, outputs: Outputs, item: dict[str, Any]
) -> None:
    mine, values = session(caller), outputs["items"]
    attempts: tuple[Callable[[], object], ...] = (
        lambda: mine.client("dynamodb").get_item(TableName=values["TableName"], Key={"id": {"S": item["id"]}}),
        lambda: mine.client("dynamodb").delete_item(TableName=values["TableName"], Key={"id": {"S": item["id"]}}),
        lambda: mine.client("dynamodb").scan(TableName=values["IdempotencyTableName"]),
        lambda: mine.client("s3").list_objects_v2(Bucket=values["BucketName"]),
        lambda: mine.client("secretsmanager").get_secret_value(SecretId=values["OriginSecretArn"]),
        lambda: mine.client("lambda").invoke(FunctionName=values["ApiFunctionArn"], Payload=b"{}"),
        lambda: mine.client("sns").publish(TopicArn=values["NotificationTopicArn"], Message="{}", MessageGroupId="1"),
        lambda: mine.client("kms").describe_key(KeyId=values["KeyId"]),
    )
    for attempt in attempts:
        with pytest.raises(ClientError) as refused:
            attempt()
        assert "AccessDenied" in refused.value.response["Error"]["Code"] or "Authorization" in str(refused.value)
