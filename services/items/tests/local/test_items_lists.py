"""Lists of items: order, pages, and cursors that survive a rotation of their secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError

from services.items.runtime.cursor import sign
from services.items.tests.local.items import create, recycle
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.emulated import Request, until

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def status() -> str:
    """Return a status that no other test uses."""
    return f"s-{uuid4().hex[:16]}"


def pages(edge: Request, **query: str | int) -> Iterator[list[dict[str, Any]]]:
    """Yield the pages of a list, by following its cursors."""
    while True:
        response = edge("GET", "/items", params=query)
        assert response.status_code == 200, response.text
        page = response.json()
        yield page["items"]
        if page["next_cursor"] is None:
            return
        query = {**query, "cursor": page["next_cursor"]}


@pytest.mark.requirement("items: routes")
def test_items_are_listed_newest_first_without_loss(signed: Request, edge: Request) -> None:
    # Given 23 items with the same status
    mine = status()
    before = [create(signed, name=str(number), status=mine)["id"] for number in range(23)]
    stop = Event()

    def more() -> list[str]:
        created = []
        while not stop.is_set():
            created.append(create(signed, status=mine)["id"])
        return created

    # When they are read page by page while more are created
    with ThreadPoolExecutor(1) as pool:
        creating = pool.submit(more)
        try:
            # Wait for some of them before the first page
            while len(edge("GET", "/items", params={"status": mine, "limit": 100}).json()["items"]) < 26:
                assert not creating.done()
            read = list(pages(edge, status=mine, limit=7))
        finally:
            stop.set()
        later = creating.result()

    # Then each of the 23 is read once, newest first, and no new ones appear after the first page
    ids = [item["id"] for page in read for item in page]
    assert ids[-23:] == before[::-1]
    assert len(set(ids)) == len(ids)
    assert set(ids[:-23]) <= set(later)
    assert all(len(page) == 7 for page in read[:-1])
    times = [item["created_at"] for page in read for item in page]
    assert times == sorted(times, reverse=True)


@pytest.fixture
def secrets(session: Callable[..., boto3.Session]) -> SecretsManagerClient:
    return session().client("secretsmanager")


def key(secrets: SecretsManagerClient, arn: str, stage: str) -> str:
    value = secrets.get_secret_value(SecretId=arn, VersionStage=stage)
    return str(json.loads(value["SecretString"])["key"])


def rotate(secrets: SecretsManagerClient, outputs: dict[str, str]) -> None:
    """Rotate the cursor secret, and wait until the new version is current."""
    arn = outputs["CursorSecretArn"]
    token = secrets.rotate_secret(SecretId=arn, RotationLambdaARN=outputs["RotationFunctionArn"])["VersionId"]
    until(lambda: "AWSCURRENT" in secrets.describe_secret(SecretId=arn)["VersionIdsToStages"][token])


def signature_is_of(cursor: str, secret: str) -> bool:
    payload, signature = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in cursor.split("."))
    return sign(secret, payload) == signature


@pytest.mark.requirement("secrets")
def test_a_cursor_survives_a_rotation(  # noqa: PLR0917  # pytest passes fixtures by name
    local: LocalEnvironment,
    signed: Request,
    edge: Request,
    session: Callable[..., boto3.Session],
    secrets: SecretsManagerClient,
    outputs: Outputs,
) -> None:
    # Given a list, a cursor into it, and a function that knows the cursor's secret
    values = outputs["items"]
    mine = status()
    created = [create(signed, status=mine)["id"] for _ in range(3)]
    recycle(local, values["ApiFunctionArn"])
    first = {"status": mine, "limit": 1}
    cursor: str = edge("GET", "/items", params=first).json()["next_cursor"]
    former = key(secrets, values["CursorSecretArn"], "AWSCURRENT")
    assert signature_is_of(cursor, former)

    # When the secret is rotated
    rotate(secrets, values)
    current = key(secrets, values["CursorSecretArn"], "AWSCURRENT")
    assert current != former
    assert key(secrets, values["CursorSecretArn"], "AWSPREVIOUS") == former

    # Then the function accepts that cursor, and also one signed by a newer function
    def following(cursor: str) -> list[str]:
        response = edge("GET", "/items", params={**first, "cursor": cursor})
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    payload = cursor.split(".", maxsplit=1)[0]
    content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    newer = f"{payload}.{base64.urlsafe_b64encode(sign(current, content)).rstrip(b'=').decode()}"
    assert following(cursor) == created[1:2]
    assert following(newer) == created[1:2]

    # And a new function accepts both, and signs with the new secret
    recycle(local, values["ApiFunctionArn"])
    assert following(cursor) == created[1:2]
    assert following(newer) == created[1:2]
    assert signature_is_of(edge("GET", "/items", params=first).json()["next_cursor"], current)

    # When it is rotated once more, then the first cursor is refused
    rotate(secrets, values)
    recycle(local, values["ApiFunctionArn"])
    assert edge("GET", "/items", params={**first, "cursor": cursor}).status_code == 400
    assert following(newer) == created[1:2]


@pytest.mark.requirement("functions")
def test_the_rotation_function_may_only_rotate_its_secret(
    session: Callable[..., boto3.Session], secrets: SecretsManagerClient, outputs: Outputs
) -> None:
    values = outputs["items"]
    token = str(uuid4())
    # Given a pending version of the other secret
    arn = values["OriginSecretArn"]
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    secrets.put_secret_value(
        SecretId=arn, ClientRequestToken=token, SecretString='{"key": "x"}', VersionStages=["AWSPENDING"]
    )
    event = {"Step": "finishSecret", "SecretId": arn, "ClientRequestToken": token}
    # When the function is told to finish that rotation
    answer = (
        session()
        .client("lambda")
        .invoke(FunctionName=values["RotationFunctionArn"], Payload=json.dumps(event).encode())
    )
    # Then it may not
    assert answer["FunctionError"] == "Unhandled"
    assert secrets.get_secret_value(SecretId=arn)["SecretString"] == before
    try:
        secrets.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)
    except ClientError as error:
        pytest.fail(f"the other secret keeps a pending version: {error}")
