"""The routes of `items` over HTTPS: each answer of each route, and who may have which."""

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

ORIGIN = {"Origin": "https://shop.example"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def item(signed: Request) -> dict[str, Any]:
    """An item of version 1."""
    return create(signed, description="boils", data={"litres": 1.7}, status="draft")


# Creating


@pytest.mark.requirement("items: routes")
def test_an_item_is_created(signed: Request, outputs: Outputs) -> None:
    # Given what a writer decides
    given = {
        "name": "Wasserkocher ☕ 水壶",
        "description": "kocht",
        "data": {"tags": ["a", None, True]},
        "status": "new",
    }
    # When it is posted
    response = signed("POST", "/items", json=given)
    # Then the answer is the item, with what the service decides
    assert response.status_code == 201
    item = response.json()
    assert {name: item[name] for name in given} == given
    assert item["version"] == 1
    assert item["created_at"] == item["updated_at"]
    assert response.headers["etag"] == '"1"'
    # As a client resolves it, it leads there, stage and all
    place = f"{outputs['items']['ApiEndpoint']}items/{item['id']}"
    assert str(response.url.join(response.headers["location"])) == place
    assert response.headers["cache-control"] == "no-store"


def test_what_is_left_out_takes_its_default(signed: Request) -> None:
    item = create(signed)
    assert (item["description"], item["data"], item["status"]) == ("", {}, "active")


def test_a_key_gives_every_repetition_the_first_answer(signed: Request) -> None:
    # Given a creation under a key
    key = {"Idempotency-Key": uuid4().hex}
    first = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    assert first.status_code == 201
    # When it comes again
    again = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    # Then the answer is the same, headers included
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    # When it comes with another body
    other = signed("POST", "/items", json={"name": "teapot"}, headers=key)
    # Then it is refused
    assert_problem(other, 422, "Idempotency-Key")


@pytest.mark.requirement("items: no duplicate, no lost update")
def test_creation_in_progress_is_not_started_again(
    signed: Request, session: Callable[..., boto3.Session], outputs: Outputs
) -> None:
    # Given a record that says that the first request has not ended
    dynamodb, table = session().client("dynamodb"), outputs["items"]["IdempotencyTableName"]
    key = {"Idempotency-Key": uuid4().hex}
    created = signed("POST", "/items", json={"name": "kettle"}, headers=key).json()
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    records = [record for page in pages for record in page["Items"]]
    (record,) = (
        record
        for record in records
        if created["id"] in record.get("data", {"S": ""})["S"] and "items.create#" in record["id"]["S"]
    )
    dynamodb.update_item(
        TableName=table,
        Key={"id": record["id"]},
        UpdateExpression="SET #status = :status, in_progress_expiration = :later",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={
            ":status": {"S": "INPROGRESS"},
            # In milliseconds; `expiration` is in seconds.
            ":later": {"N": f"{record['expiration']['N']}000"},
        },
    )
    # When the request comes again
    response = signed("POST", "/items", json={"name": "kettle"}, headers=key)
    # Then it is told to wait
    assert_problem(response, 409, "Idempotency-Key")
    assert response.headers["retry-after"] == "1"


# Reading


@pytest.mark.requirement("items: the edge")
def test_an_item_is_read_through_the_edge(edge: Request, item: dict[str, Any]) -> None:
    response = edge("GET", f"/items/{item['id']}")
    assert response.status_code == 200
    assert response.json() == item
    assert response.headers["etag"] == '"1"'
    assert response.headers["cache-control"] == "public, max-age=10"


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize("path", ["/items/{id}", "/items?status=draft&limit=3"])
def test_what_a_client_has_is_not_sent_again(edge: Request, item: dict[str, Any], path: str) -> None:
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
    # And another tag gets the whole
    assert edge("GET", path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.requirement("items: the edge")
@pytest.mark.parametrize("path", ["/items", "/items/{id}"])
def test_head_is_get_without_its_content(edge: Request, item: dict[str, Any], path: str) -> None:
    response = edge("HEAD", path.format(**item))
    assert response.status_code == 200
    # Without compression, so that what is counted is what is there
    read = edge("GET", path.format(**item), headers={"Accept-Encoding": "identity"})
    head = edge("HEAD", path.format(**item), headers={"Accept-Encoding": "identity"})
    assert head.headers["content-length"] == str(len(read.content))
    assert response.content == b""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["etag"] == edge("GET", path.format(**item)).headers["etag"]
    missing = edge("HEAD", f"/items/{NOBODY}")
    assert (missing.status_code, missing.content) == (404, b"")


def test_an_item_that_is_not_there_is_not_found(edge: Request, signed: Request) -> None:
    assert_problem(edge("GET", f"/items/{NOBODY}"), 404, "id")
    condition = {"If-Match": '"1"'}
    assert_problem(signed("PUT", f"/items/{NOBODY}", json={"name": "kettle"}, headers=condition), 404, "id")
    assert_problem(signed("DELETE", f"/items/{NOBODY}", headers=condition), 404, "id")


# Writing over, and deleting


@pytest.mark.requirement("items: routes")
def test_an_item_is_replaced_as_a_whole(signed: Request, edge: Request, item: dict[str, Any]) -> None:
    # When its version is written over
    path = f"/items/{item['id']}"
    response = signed("PUT", path, json={"name": "teapot"}, headers={"If-Match": '"1"'})
    # Then what was left out takes its default, and the rest stays
    assert response.status_code == 200
    replaced = response.json()
    assert response.headers["etag"] == '"2"'
    assert replaced["updated_at"] > item["updated_at"]
    assert replaced == item | {
        "name": "teapot",
        "description": "",
        "data": {},
        "status": "active",
        "version": 2,
        "updated_at": replaced["updated_at"],
    }
    assert edge("GET", path).json() == replaced
    # And it is in the list of its new status alone
    assert _is_listed(edge, item["id"], "active")
    assert not _is_listed(edge, item["id"], "draft")


@pytest.mark.requirement("items: routes")
def test_an_item_is_deleted(signed: Request, edge: Request, item: dict[str, Any]) -> None:
    path = f"/items/{item['id']}"
    response = signed("DELETE", path, headers={"If-Match": '"1"'})
    assert response.status_code == 204
    assert response.content == b""
    assert edge("GET", path).status_code == 404
    assert not _is_listed(edge, item["id"], "draft")


@pytest.mark.requirement("items: no duplicate, no lost update")
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_write_says_which_version_it_is_for(
    signed: Request, edge: Request, item: dict[str, Any], method: str
) -> None:
    path = f"/items/{item['id']}"
    content: dict[str, Any] = {"json": {"name": "teapot"}} if method == "PUT" else {}
    # Given no version, a former or later one, and what is no version
    for given, status in ((None, 428), ('"0"', 412), ('"2"', 412), ('"x"', 412), ("*", 400), ("1", 400), ("", 400)):
        headers = {} if given is None else {"If-Match": given}
        # When it writes
        response = signed(method, path, headers=headers, **content)
        # Then it is refused, and the item is as it was
        assert_problem(response, status, "If-Match")
    assert edge("GET", path).json() == item
    # And a tag that the edge has made weak is good
    assert signed(method, path, headers={"If-Match": 'W/"1"'}, **content).is_success


# The health check


@pytest.mark.requirement("versions and aliases", "items: health")
def test_health_tells_what_answers(unsigned: Request, session: Callable[..., boto3.Session], outputs: Outputs) -> None:
    response = unsigned("GET", "/health")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    health = response.json()
    name, alias = outputs["items"]["ApiFunctionArn"].split(":")[6:]
    live = session().client("lambda").get_alias(FunctionName=name, Name=alias)
    assert health.pop("remaining_time_ms") in range(1, 30_000)
    assert health == {"status": "ok", "environment": "dev", "function_version": live["FunctionVersion"]}


# CORS, and errors that the gateway makes


@pytest.mark.requirement("the API")
def test_every_answer_can_be_read_by_a_browser(
    signed: Request, unsigned: Request, edge: Request, item: dict[str, Any]
) -> None:
    path = f"/items/{item['id']}"
    answers = {
        201: signed("POST", "/items", json={"name": "kettle"}, headers=ORIGIN),
        200: edge("GET", path, headers=ORIGIN),
        304: edge("GET", path, headers={**ORIGIN, "If-None-Match": '"1"'}),
        404: edge("GET", f"/items/{NOBODY}", headers=ORIGIN),
        400: signed("POST", "/items", json={}, headers=ORIGIN),
        403: unsigned("GET", path, headers=ORIGIN),
        412: signed("DELETE", path, headers={**ORIGIN, "If-Match": '"9"'}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"ETag", "Location", "Retry-After"}
        # Browsers refuse `*` with credentials.
        assert "access-control-allow-credentials" not in answer.headers


# Who may


@pytest.mark.requirement("items: who may")
def test_the_distributions_header_alone_opens_reads(
    unsigned: Request, edge: Request, session: Callable[..., boto3.Session], outputs: Outputs, item: dict[str, Any]
) -> None:
    path = f"/items/{item['id']}"
    secret = session().client("secretsmanager").get_secret_value(SecretId=outputs["items"]["OriginSecretArn"])
    value = json.loads(secret["SecretString"])["header"]
    for wrong in ({}, {"X-Origin-Verify": ""}, {"X-Origin-Verify": value[:-1]}, {"X-Origin-Verify": value.swapcase()}):
        for read in (path, "/items", f"/items/{NOBODY}"):
            assert_problem(unsigned("GET", read, headers=wrong), 403, "X-Origin-Verify")
    assert unsigned("GET", path, headers={"X-Origin-Verify": value}).status_code == 200
    # A viewer's own header does not reach the origin.
    assert edge("GET", path, headers={"X-Origin-Verify": "mine"}).status_code == 200


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
    # Given that the edge keeps what it got under a key that the header is not part of
    path = f"/items/{item['id']}"
    plain = edge("GET", path)
    assert plain.json() == item

    # Then a viewer who sends it gets what everybody gets
    hostile = edge("GET", path, headers={name: value})
    assert (hostile.status_code, hostile.content) == (200, plain.content)


@pytest.mark.requirement("items: the edge")
def test_the_api_behind_the_edge_follows_an_override(
    unsigned: Request, session: Callable[..., boto3.Session], outputs: Outputs, item: dict[str, Any]
) -> None:
    # Given what CloudFront sends
    secret = session().client("secretsmanager").get_secret_value(SecretId=outputs["items"]["OriginSecretArn"])
    headers = {"X-Origin-Verify": json.loads(secret["SecretString"])["header"]}
    assert unsigned("GET", f"/items/{item['id']}", headers=headers).json() == item

    # When it also sent the viewer's header, then one reader would get what all others get after him
    overridden = unsigned("GET", f"/items/{item['id']}", headers={**headers, "X-HTTP-Method-Override": "OPTIONS"})
    assert overridden.is_success
    assert overridden.content == b""


@pytest.mark.requirement("items: the edge")
def test_the_edge_takes_no_writes(edge: Request) -> None:
    assert edge("POST", "/items", json={"name": "kettle"}).status_code == 403


@pytest.mark.requirement("items: who may")
def test_who_may_write_items_reaches_nothing_behind_the_api(
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


def _is_listed(edge: Request, item_id: str, status: str) -> bool:
    page = edge("GET", f"/items?status={status}&limit=100").json()
    return item_id in {item["id"] for item in page["items"]}
