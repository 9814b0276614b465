"""Callers of an API: one that it admits, and every kind that it must refuse, for each way to authorise.

Signatures for another service (`…/s3/aws4_request`) are not included: the emulator accepts them, API Gateway doesn't.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from slipway.emulator.routes import SigV4
from slipway.emulator.server import Credentials

Auths = Mapping[str, httpx.Auth | None]

ANOTHER_ACCOUNT = Credentials("222222222222", "test")
"""For the emulator a key of twelve digits is the root of that account."""

_PASSWORD = "Correct-horse-7-battery"  # noqa: S105  # nosec B105  # of users that a test deletes
# Keys of a described client that an update does not accept.
_READ_ONLY = frozenset({"CreationDate", "LastModifiedDate", "ClientSecret"})


@dataclass(frozen=True)
class Callers:
    """Callers of an API.

    Attributes:
        good: The caller that is admitted.
        refused: Name of a refused kind → how it authorises its requests.
        status: Status of a refusal.
        fuzz: Variables that let `slipway.attack.hooks` call as the good one.
    """

    good: httpx.Auth
    refused: Auths
    status: int
    fuzz: Mapping[str, str]


class Header(httpx.Auth):
    """Sends a fixed header.

    Args:
        name: Name of the header.
        value: Value of the header.
    """

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers[self._name] = self._value
        yield request


class Late(SigV4):
    """Signs with another time.

    Args:
        credentials: Credentials for the signature.
        region: Region of the API.
        by: Offset from the current time.
    """

    def __init__(self, credentials: Credentials, region: str, *, by: timedelta) -> None:
        super().__init__(credentials, region)
        self._by = by

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign with another clock."""
        with pytest.MonkeyPatch.context() as patch:
            moment = datetime.now(UTC).replace(tzinfo=None) + self._by
            patch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: moment)
            yield from super().auth_flow(request)


class Altered(SigV4):
    """Signs something other than what is sent.

    Args:
        credentials: Credentials for the signature.
        region: Region of the API.
        change: Returns the request that is signed instead.
    """

    def __init__(self, credentials: Credentials, region: str, change: Callable[[httpx.Request], httpx.Request]) -> None:
        super().__init__(credentials, region)
        self._change = change

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Put the other request's signature on this one."""
        signed = next(super().auth_flow(self._change(request)))
        for name in ("Authorization", "X-Amz-Date"):
            request.headers[name] = signed.headers[name]
        yield request


def _changed(**parts: Any) -> Callable[[httpx.Request], httpx.Request]:
    def change(request: httpx.Request) -> httpx.Request:
        method = parts.get("method", request.method)
        headers = {**request.headers, **({"host": parts["host"]} if "host" in parts else {})}
        url = request.url.copy_with(path=request.url.path + parts.get("path", ""))
        return httpx.Request(method, url, headers=headers, content=parts.get("body", request.content))

    return change


@contextmanager
def _user(session: boto3.Session, *statements: tuple[str, str]) -> Iterator[tuple[str, Credentials]]:
    """Yield an IAM user with statements, each an effect and a resource, about invocations."""
    iam, name = session.client("iam"), f"caller-{uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    if statements:
        listed = [{"Effect": effect, "Action": "execute-api:Invoke", "Resource": arn} for effect, arn in statements]
        document = json.dumps({"Version": "2012-10-17", "Statement": listed})
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    try:
        yield name, Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        for left in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=name, AccessKeyId=left["AccessKeyId"])
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            iam.delete_user_policy(UserName=name, PolicyName=policy)
        iam.delete_user(UserName=name)


@contextmanager
def signers(session: boto3.Session, outputs: Mapping[str, str], *, account: str, region: str) -> Iterator[Callers]:
    """Yield the callers of an API whose requests are signed (IAM)."""
    iam = session.client("iam")
    api = f"arn:aws:execute-api:{region}:{account}:{outputs['ApiId']}"
    with ExitStack() as stack:

        def user(*statements: tuple[str, str]) -> tuple[str, Credentials]:
            return stack.enter_context(_user(session, *statements))

        caller = user(("Allow", f"{api}/*"))[1]
        # To the emulator, a `*` at the end of an ARN excludes line breaks: this one may call everything.
        anybody = user(("Allow", "*"))[1]
        (gone, deleted), (resting, inactive) = user(("Allow", f"{api}/*")), user(("Allow", f"{api}/*"))
        iam.delete_access_key(UserName=gone, AccessKeyId=deleted.access_key_id)
        iam.update_access_key(UserName=resting, AccessKeyId=inactive.access_key_id, Status="Inactive")
        elsewhere = "arn:aws:execute-api:*:*:another1/*"
        key, secret = caller.access_key_id, caller.secret_access_key
        refused: dict[str, httpx.Auth | None] = {
            "no signature": None,
            "a token instead": Header("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),
            "an empty header": Header("Authorization", ""),
            "half a signature": Header("Authorization", f"AWS4-HMAC-SHA256 Credential={key}/20261120/{region}"),
            "an unknown key": SigV4(Credentials("AKIA0000000000000000", secret), region),
            "a wrong secret": SigV4(Credentials(key, secret[::-1]), region),
            "another region": SigV4(caller, "eu-central-1" if region != "eu-central-1" else "us-east-1"),
            "another host": Altered(caller, region, _changed(host="example.com")),
            "another path": Altered(caller, region, _changed(path="x")),
            "another method": Altered(caller, region, _changed(method="PATCH")),
            "another body": Altered(caller, region, _changed(body=b'{"another": "body"}')),
            "a signature of yesterday": Late(caller, region, by=timedelta(days=-1)),
            "a signature of 16 minutes ago": Late(caller, region, by=timedelta(minutes=-16)),
            "a signature of tomorrow": Late(caller, region, by=timedelta(days=1)),
            "a key that was deleted": SigV4(deleted, region),
            "a key that is switched off": SigV4(inactive, region),
            "a user without permissions": SigV4(user()[1], region),
            "a user of another method": SigV4(user(("Allow", f"{api}/*/OPTIONS/*"))[1], region),
            "a user of another API": SigV4(user(("Allow", elsewhere))[1], region),
            "a user who is denied it": SigV4(user(("Allow", f"{api}/*"), ("Deny", f"{api}/*"))[1], region),
            "another account": SigV4(ANOTHER_ACCOUNT, region),
        }
        fuzz = {
            "FUZZ_SIGNED": "yes",
            "AWS_ACCESS_KEY_ID": anybody.access_key_id,
            "AWS_SECRET_ACCESS_KEY": anybody.secret_access_key,
        }
        yield Callers(SigV4(caller, region), refused, 403, fuzz)


@contextmanager
def key_holders(session: boto3.Session, outputs: Mapping[str, str]) -> Iterator[Callers]:
    """Yield the callers of an API whose requests carry a key; the good one's plan has no limits."""
    gateway = session.client("apigateway")
    header = "x-api-key"
    with ExitStack() as stack:

        def key(*, enabled: bool = True) -> tuple[str, str]:
            made = gateway.create_api_key(name=f"contract-{uuid4().hex[:8]}", enabled=enabled)["id"]
            stack.callback(gateway.delete_api_key, apiKey=made)
            return made, gateway.get_api_key(apiKey=made, includeValue=True)["value"]

        def plan(**stages: Any) -> str:
            made = gateway.create_usage_plan(name=f"contract-{uuid4().hex[:8]}", **stages)["id"]
            stack.callback(gateway.delete_usage_plan, usagePlanId=made)
            return made

        (good, value), (_, lonely) = key(), key()
        (resting, inactive), (elsewhere, other) = key(enabled=False), key()
        stage = gateway.get_stages(restApiId=outputs["ApiId"])["item"][0]["stageName"]
        own = plan(apiStages=[{"apiId": outputs["ApiId"], "stage": stage}])
        for usage_plan, member in ((own, good), (own, resting), (plan(), elsewhere)):
            gateway.create_usage_plan_key(usagePlanId=usage_plan, keyId=member, keyType="API_KEY")
        refused: dict[str, httpx.Auth | None] = {
            "no key": None,
            "an empty key": Header(header, ""),
            "an unknown key": Header(header, "not-a-key-of-anybody-here"),
            "the key's id": Header(header, good),
            "a key in another header": Header("Authorization", value),
            "a key without a usage plan": Header(header, lonely),
            "a key that is switched off": Header(header, inactive),
            "a key of another plan": Header(header, other),
        }
        yield Callers(Header(header, value), refused, 403, {"FUZZ_API_KEY": value})


class PoolUsers:
    """A user pool as its administrator sees it.

    Args:
        cognito: Client.
        pool: Id of the pool.
    """

    def __init__(self, cognito: Any, pool: str) -> None:
        self._cognito, self.id = cognito, pool

    def client(self, name: str) -> str:
        """Return the id of a new client."""
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        made = self._cognito.create_user_pool_client(UserPoolId=self.id, ClientName=name, ExplicitAuthFlows=flows)
        found: str = made["UserPoolClient"]["ClientId"]
        return found

    def user(self) -> str:
        """Return the name of a new user."""
        name = f"caller-{uuid4().hex[:8]}"
        attributes = [{"Name": "email", "Value": f"{name}@example.com"}, {"Name": "email_verified", "Value": "true"}]
        self._cognito.admin_create_user(
            UserPoolId=self.id, Username=name, MessageAction="SUPPRESS", UserAttributes=attributes
        )
        self._cognito.admin_set_user_password(UserPoolId=self.id, Username=name, Password=_PASSWORD, Permanent=True)
        return name

    def tokens(self, name: str, client: str) -> dict[str, str]:
        """Return the tokens of a sign-in: AccessToken, IdToken, RefreshToken."""
        answer = self._cognito.initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": _PASSWORD},
        )
        found: dict[str, str] = answer["AuthenticationResult"]
        return found

    @contextmanager
    def short_lived(self, client: str) -> Iterator[None]:
        """Make a client's tokens end after a second."""
        described = self._cognito.describe_user_pool_client(UserPoolId=self.id, ClientId=client)["UserPoolClient"]
        settings = {name: value for name, value in described.items() if value and name not in _READ_ONLY}
        seconds = {"AccessToken": "seconds", "IdToken": "seconds", "RefreshToken": "days"}
        short = {"AccessTokenValidity": 1, "IdTokenValidity": 1, "RefreshTokenValidity": 30}
        self._cognito.update_user_pool_client(**settings | short | {"TokenValidityUnits": seconds})
        try:
            yield
        finally:
            self._cognito.update_user_pool_client(**settings)


@contextmanager
def token_holders(session: boto3.Session, outputs: Mapping[str, str]) -> Iterator[Callers]:
    """Yield the callers of an API whose requests carry a token of a user pool."""
    cognito, client = session.client("cognito-idp"), outputs["UserPoolClientId"]
    pool = PoolUsers(cognito, outputs["UserPoolId"])
    other = PoolUsers(cognito, cognito.create_user_pool(PoolName="another")["UserPool"]["Id"])
    try:
        name = pool.user()
        tokens = pool.tokens(name, client)
        with pool.short_lived(client):
            expired = pool.tokens(name, client)["AccessToken"]
        head, claims, signature = tokens["AccessToken"].split(".")
        kinds = {
            "garbage": "garbage",
            "nothing": "",
            "a broken signature": f"{head}.{claims}.{signature[:-8]}AAAAAAAA",
            "no signature": f"eyJhbGciOiJub25lIn0.{claims}.",
            "expired": expired,
            "another pool's": other.tokens(other.user(), other.client("another"))["AccessToken"],
            "another client's": pool.tokens(name, pool.client("second"))["AccessToken"],
            "an id token": tokens["IdToken"],
            "a refresh token": tokens["RefreshToken"],
        }
        bearer = {kind: f"Bearer {token}".strip() for kind, token in kinds.items()}
        # Wait until the expired token's second has passed.
        time.sleep(2)
        good = f"Bearer {tokens['AccessToken']}"
        refused: dict[str, httpx.Auth | None] = {
            "none": None,
            **{kind: Header("Authorization", value) for kind, value in bearer.items()},
        }
        yield Callers(Header("Authorization", good), refused, 401, {"FUZZ_AUTHORIZATION": good})
    finally:
        cognito.delete_user_pool(UserPoolId=other.id)
