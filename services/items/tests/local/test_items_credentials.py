"""Who may write items: each signed route with every kind of credentials that is not the caller's own.

A signature for another service (`…/s3/aws4_request`) is not among them: the emulator takes it, API Gateway does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.routes import SigV4, target
from slipway.emulator.server import Credentials
from slipway.testing.emulated import Request

ANOTHER_ACCOUNT = Credentials("222222222222", "test")
"""For the emulator a key of twelve digits is the root of that account."""

ROUTES = (("POST", "/items"), ("PUT", "/items/{id}"), ("DELETE", "/items/{id}"))

KINDS = (
    "no signature",
    "a token instead",
    "an empty header",
    "half a signature",
    "an unknown key",
    "a wrong secret",
    "another region",
    "another host",
    "another path",
    "another method",
    "a signature of yesterday",
    "a signature of 16 minutes ago",
    "a signature of tomorrow",
    "a key that was deleted",
    "a key that is switched off",
    "a user without permissions",
    "a user who may only read",
    "a user of another API",
    "a user who is denied it",
    "another account",
)


class Late(SigV4):
    """A signature that was made at another time.

    Args:
        credentials: whose.
        region: the API's.
        by: how far from now.
    """

    def __init__(self, credentials: Credentials, region: str, *, by: timedelta) -> None:
        super().__init__(credentials, region)
        self._by = by

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        with pytest.MonkeyPatch.context() as patch:
            moment = datetime.now(UTC).replace(tzinfo=None) + self._by
            patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
            yield from super().auth_flow(request)


class Altered(SigV4):
    """A signature over something else than what is sent.

    Args:
        credentials: whose.
        region: the API's.
        change: what was signed instead.
    """

    def __init__(self, credentials: Credentials, region: str, change: Callable[[httpx.Request], httpx.Request]) -> None:
        super().__init__(credentials, region)
        self._change = change

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        signed = next(super().auth_flow(self._change(request)))
        for name in ("Authorization", "X-Amz-Date"):
            request.headers[name] = signed.headers[name]
        yield request


class Header(httpx.Auth):
    """An `Authorization` as it stands.

    Args:
        value: the header.
    """

    def __init__(self, value: str) -> None:
        self._value = value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._value
        yield request


def _changed(**parts: Any) -> Callable[[httpx.Request], httpx.Request]:
    def change(request: httpx.Request) -> httpx.Request:
        method = parts.get("method", request.method)
        headers = {**request.headers, **({"host": parts["host"]} if "host" in parts else {})}
        url = request.url.copy_with(path=request.url.path + parts.get("path", ""))
        return httpx.Request(method, url, headers=headers, content=request.content)

    return change


@pytest.fixture(scope="module")
def users(session: Callable[..., boto3.Session], local: LocalEnvironment, outputs: Outputs) -> Iterator[Any]:
    """Makes users with a policy of their own; gone afterwards."""
    iam = session().client("iam")
    api = f"arn:aws:execute-api:{local.emulator.region}:{local.emulator.account}:{outputs['items']['ApiId']}"
    made: list[str] = []

    def make(*statements: tuple[str, str]) -> tuple[str, Credentials]:
        name = f"someone-{uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        made.append(name)
        if statements:
            document = {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource.replace("API", api)}
                    for effect, resource in statements
                ],
            }
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return name, Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    yield make
    for name in made:
        for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def credentials(
    users: Any, session: Callable[..., boto3.Session], local: LocalEnvironment, caller: Credentials
) -> Mapping[str, httpx.Auth | None]:
    """Every kind that is not the caller's own."""
    iam, region = session().client("iam"), local.emulator.region
    (gone, deleted), (resting, inactive) = users(("Allow", "API/*")), users(("Allow", "API/*"))
    iam.delete_access_key(UserName=gone, AccessKeyId=deleted.access_key_id)
    iam.update_access_key(UserName=resting, AccessKeyId=inactive.access_key_id, Status="Inactive")
    elsewhere = "arn:aws:execute-api:*:*:another1/*"
    found: dict[str, httpx.Auth | None] = {
        "no signature": None,
        "a token instead": Header("Bearer eyJhbGciOiJub25lIn0.e30."),
        "an empty header": Header(""),
        "half a signature": Header(f"AWS4-HMAC-SHA256 Credential={caller.access_key_id}/20261120/{region}"),
        "an unknown key": SigV4(Credentials("AKIA0000000000000000", caller.secret_access_key), region),
        "a wrong secret": SigV4(Credentials(caller.access_key_id, caller.secret_access_key[::-1]), region),
        "another region": SigV4(caller, "eu-central-1"),
        "another host": Altered(caller, region, _changed(host="example.com")),
        "another path": Altered(caller, region, _changed(path="x")),
        "another method": Altered(caller, region, _changed(method="PATCH")),
        "a signature of yesterday": Late(caller, region, by=timedelta(days=-1)),
        "a signature of 16 minutes ago": Late(caller, region, by=timedelta(minutes=-16)),
        "a signature of tomorrow": Late(caller, region, by=timedelta(days=1)),
        "a key that was deleted": SigV4(deleted, region),
        "a key that is switched off": SigV4(inactive, region),
        "a user without permissions": SigV4(users()[1], region),
        "a user who may only read": SigV4(users(("Allow", "API/*/GET/*"))[1], region),
        "a user of another API": SigV4(users(("Allow", elsewhere))[1], region),
        "a user who is denied it": SigV4(users(("Allow", "API/*"), ("Deny", "API/*/items*"))[1], region),
        "another account": SigV4(ANOTHER_ACCOUNT, region),
    }
    assert tuple(found) == KINDS
    return found


@pytest.fixture(scope="module")
def item(signed: Request) -> dict[str, Any]:
    """An item that is there to be changed."""
    return create(signed)


def _written(session: boto3.Session, values: Mapping[str, str]) -> list[Any]:
    """Everything that a write could have changed.

    What the stream's reader remembers is left out: it still works on what earlier tests wrote, whoever writes now.
    """
    dynamodb = session.client("dynamodb")
    tables = [
        dynamodb.scan(TableName=values[name], ConsistentRead=True)["Items"]
        for name in ("TableName", "IdempotencyTableName")
    ]
    return [
        sorted(
            json.dumps(entry, sort_keys=True) for entry in table if not entry["id"]["S"].startswith("items.created#")
        )
        for table in tables
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_with_none_of_them_anything_is_written(
    http: httpx.Client,
    session: Callable[..., boto3.Session],
    outputs: Outputs,
    credentials: Mapping[str, httpx.Auth | None],
    item: dict[str, Any],
    *,
    method: str,
    path: str,
    kind: str,
) -> None:
    before = _written(session(), outputs["items"])
    # When a write that would succeed comes with credentials that are not good for it
    response = http.request(
        method,
        target(outputs["items"], path.format(id=item["id"]), edge=False).url,
        json=None if method == "DELETE" else {"name": "stolen"},
        headers={} if method == "POST" else {"If-Match": '"1"'},
        auth=credentials[kind],
    )
    # Then it is refused, and nothing has changed
    assert response.status_code == 403, response.text
    assert _written(session(), outputs["items"]) == before


def test_a_caller_may_still_write_afterwards(signed: Request, item: dict[str, Any]) -> None:
    # So that the refusals above are not for another reason.
    path, last = f"/items/{item['id']}", {"If-Match": '"2"'}
    assert signed("PUT", path, json={"name": "mine"}, headers={"If-Match": '"1"'}).status_code == 200
    assert signed("DELETE", path, headers=last).status_code == 204


@pytest.mark.parametrize("path", ["/items", "/items/{id}"])
def test_a_read_past_the_distribution_is_refused_for_a_signed_caller_too(
    http: httpx.Client, outputs: Outputs, caller: Credentials, local: LocalEnvironment, path: str
) -> None:
    # A signature is no substitute for the distribution's header.
    where = target(outputs["items"], path.format(id="1"), edge=False).url
    assert http.get(where, auth=SigV4(caller, local.emulator.region)).status_code == 403
