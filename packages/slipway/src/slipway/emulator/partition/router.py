"""Route requests to accounts, and between them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as SigningCredentials
from botocore.exceptions import ClientError

from slipway.emulator.partition.requests import ApiError, HttpRequest, Requester, Role
from slipway.emulator.server import EMULATED_SECRET, Credentials, Emulator

Api = Callable[[str, dict[str, Any], Requester], dict[str, Any]]
"""An API that the emulator lacks: a function of operation, request and caller that returns the answer."""

Hook = Callable[[str, dict[str, Any]], None]
"""Receives content that a function forwards, with its account."""

HANDED_OVER = b"/_rehearsal/"
"""Path, followed by an account, to which functions of the rehearsal forward their events."""

FROM = b"/_from/"
"""Path prefix, followed by an account, of requests by that account's functions, whose sessions are unknown here."""

REUSE_SECONDS = 600.0
"""Time for which an issued session is reused, seconds; STS issues it for an hour."""

_EXECUTE_API = re.compile(r"(?P<api>\w+)\.execute-api\.(?P<region>[\w-]+)\.amazonaws\.com")
_COGNITO = re.compile(r"cognito-idp\.([\w-]+)\.amazonaws\.com")
_CLOUDFRONT = re.compile(r"\w+\.cloudfront\.net")
_ACCOUNT = re.compile(r"\d{12}")
_MIRROR = "slipway-mirror"
"""Name of the policy of a mirrored role."""


@dataclass(frozen=True)
class Session:
    """A role's session that was issued here."""

    account: str
    role: str
    name: str
    credentials: Credentials


@dataclass(frozen=True)
class ForwardTarget:
    """Target of a forwarded request."""

    emulator: Emulator
    request: HttpRequest


class Partition:
    """The accounts, and the routes between them.

    Args:
        accounts: Account → its emulator.
        apis: Service, by its name in signatures → the API that answers for it.
        on_handed_over: Receives the events that functions of the rehearsal forward.
    """

    def __init__(self, accounts: Mapping[str, Emulator], *, apis: Mapping[str, Api], on_handed_over: Hook) -> None:
        self._accounts, self._apis, self._on_handed_over = accounts, apis, on_handed_over
        self._sessions: dict[str, Session] = {}
        self._given: dict[tuple[str, str, str], tuple[float, Credentials]] = {}
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def emulator(self, account: str) -> Emulator:
        """Return the emulator of an account.

        Raises:
            ApiError: The account is not part of the rehearsal.
        """
        try:
            return self._accounts[account]
        except KeyError:
            raise ApiError("AccessDenied", f"this rehearsal has no account {account}", status=403) from None

    def answer(self, request: HttpRequest) -> tuple[int, list[tuple[bytes, bytes]], bytes] | ForwardTarget:
        """Answer a request, or return where to forward it.

        Raises:
            ApiError: It is refused here.
        """
        if request.path.startswith(HANDED_OVER):
            self._on_handed_over(request.path.removeprefix(HANDED_OVER).decode(), request.json)
            return 202, [], b""
        signature = request.signature
        if signature is None:
            return self._unsigned(request)
        key, service = signature
        if request.path.startswith(FROM):
            account = request.path.removeprefix(FROM).partition(b"/")[0].decode()
            caller = Requester(account, key)
        else:
            caller = self._caller(key)
        if service in self._apis:
            answer = self._apis[service](request.operation, request.json, caller)
            return 200, [(b"content-type", b"application/x-amz-json-1.1")], json.dumps(answer).encode()
        if service == "sts" and request.operation == "AssumeRole":
            return self._assume(request, caller)
        if _EXECUTE_API.fullmatch(request.host):
            return self._signed_for_host(request, key)
        return ForwardTarget(self.emulator(caller.account), request)

    def assume(self, role_arn: str, name: str, *, by: Credentials | None = None) -> Credentials:
        """Assume a role as a client would.

        Args:
            role_arn: The role.
            name: Name of the session.
            by: The caller's credentials. Default: an AWS service, which the emulator treats as the root of its account.

        Raises:
            ApiError: The caller or the role's trust does not allow it.
        """
        role = Role.of(role_arn)
        if role is None:
            raise ApiError("ValidationError", f"{role_arn} is not a role")
        key = (role_arn, name, by.access_key_id if by is not None else "")
        with self._lock:
            known = self._given.get(key)
        if known is not None and time.monotonic() - known[0] < REUSE_SECONDS:
            return known[1]
        caller = self._caller(by.access_key_id) if by is not None else Requester(role.account, role.account)
        credentials = by if caller.account == role.account else self._cross(caller, role, role_arn)
        given = self._assumed(self.emulator(role.account), role, role_arn, name, credentials)
        with self._lock:
            self._given[key] = (time.monotonic(), given)
        return given

    def session_of(self, credentials: Credentials) -> Session | None:
        """Return the role session of credentials; None for credentials that weren't issued here."""
        return self._sessions.get(credentials.access_key_id)

    def _caller(self, key: str) -> Requester:
        if (session := self._sessions.get(key)) is not None:
            return Requester(session.account, key, session.role)
        if _ACCOUNT.fullmatch(key):
            return Requester(key, key)
        return Requester(self._owner(key, self._has_key), key)

    def _assume(self, request: HttpRequest, caller: Requester) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        arn = request.parameters.get("RoleArn", "")
        role = Role.of(arn)
        if role is None:
            raise ApiError("ValidationError", f"Invalid RoleArn: {arn}")
        emulator = self.emulator(role.account)
        if caller.account != role.account:
            # The same request, by the caller's double in the other account's process.
            answered = _send(emulator, _signed_again(request, self._cross(caller, role, arn), emulator.region))
        else:
            answered = _send(emulator, request)
        if answered.is_success:
            self._remember(role, request.parameters.get("RoleSessionName", ""), answered.content)
        return answered.status_code, _headers(answered), answered.content

    def _assumed(
        self, emulator: Emulator, role: Role, arn: str, name: str, credentials: Credentials | None
    ) -> Credentials:
        try:
            given = emulator.session(credentials).client("sts").assume_role(RoleArn=arn, RoleSessionName=name[:64])
        except ClientError as error:
            raise ApiError("AccessDenied", error.response["Error"].get("Message", str(error)), status=403) from error
        key = given["Credentials"]
        found = Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])
        self._sessions[found.access_key_id] = Session(role.account, role.name, name[:64], found)
        return found

    def _remember(self, role: Role, name: str, content: bytes) -> None:
        values = _credentials_in(content)
        if values is not None:
            self._sessions[values.access_key_id] = Session(role.account, role.name, name, values)

    def _cross(self, caller: Requester, role: Role, arn: str) -> Credentials:
        """Return credentials of the caller's double in the other account's process.

        An emulator knows only the sessions of its own process, but serves every account: so the caller gets a double
        there, in its own account, whose session has the same ARN, and against which the role's trust is evaluated. The
        caller's own policies are evaluated in its own process.

        Raises:
            ApiError: The caller's policies do not allow it.
        """
        session = self._sessions.get(caller.access_key_id)
        if session is None:
            raise ApiError("AccessDenied", f"only a role's session may assume a role of {role.account}", status=403)
        self._allowed(session, "sts:AssumeRole", arn)
        theirs = self.emulator(role.account)
        double = theirs.session(Credentials(session.account, EMULATED_SECRET))
        iam = double.client("iam")
        with self._lock:
            trust = {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{session.account}:root"},
            }
            policy = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
            try:
                iam.create_role(RoleName=session.role, AssumeRolePolicyDocument=_document(trust))
                iam.put_role_policy(RoleName=session.role, PolicyName=_MIRROR, PolicyDocument=_document(policy))
            except iam.exceptions.EntityAlreadyExistsException:
                pass
        given = double.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{session.account}:role/{session.role}", RoleSessionName=session.name or "session"
        )["Credentials"]
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def allowed(
        self, account: str, role_arn: str, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> bool:
        """Return True if a role's own policies allow an action that the emulator doesn't serve.

        Args:
            account: The role's account.
            role_arn: The role.
            action: The IAM action.
            resource: ARN of the resource.
            context: Condition keys of the request and their values. Default: none.
        """
        return _simulate(self.emulator(account), role_arn, action, resource, context or {})

    def _allowed(self, session: Session, action: str, resource: str) -> None:
        arn = f"arn:aws:iam::{session.account}:role/{session.role}"
        if not _simulate(self.emulator(session.account), arn, action, resource, {}):
            raise ApiError(
                "AccessDenied",
                f"User: arn:aws:sts::{session.account}:assumed-role/{session.role}/{session.name} is not authorized to "
                f"perform: {action} on resource: {resource} because no identity-based policy allows it",
                status=403,
            )

    def _signed_for_host(self, request: HttpRequest, key: str) -> ForwardTarget:
        """Return a request to an API's own host name, signed again for the emulator's address of the API.

        Raises:
            ApiError: The key wasn't issued here, so the request can't be signed again.
        """
        session = self._sessions.get(key)
        if session is None:
            raise ApiError("InvalidClientTokenId", "The security token included in the request is invalid.", status=403)
        target = self._by_path(request)
        signed = _signed_again(target.request, session.credentials, target.emulator.region, service="execute-api")
        return ForwardTarget(target.emulator, signed)

    def _by_path(self, request: HttpRequest) -> ForwardTarget:
        """Return a request to an API's own host name, at the emulator's path of the API.

        The emulator uses host names of another domain, and reserves some paths on every host.
        """
        api = request.host.partition(".")[0]
        emulator = self._of_host(request.host)
        path = request.path.decode("latin-1")
        if self._is_rest(emulator, api):
            stage, _, rest = path.removeprefix("/").partition("/")
            return ForwardTarget(emulator, _at(request, f"/restapis/{api}/{stage}/_user_request_/{rest}", "localhost"))
        return ForwardTarget(emulator, _at(request, f"/_aws/execute-api/{api}/$default{path}", "localhost"))

    def _unsigned(self, request: HttpRequest) -> ForwardTarget:
        host = request.host
        if _EXECUTE_API.fullmatch(host):
            return self._by_path(request)
        if _CLOUDFRONT.fullmatch(host):
            return ForwardTarget(self._of_host(host), request)
        target = request.header("x-amz-target")
        if target.startswith("AWSCognitoIdentityProviderService."):
            client = str(request.json.get("ClientId", ""))
            region = _COGNITO.match(host)
            owner = self._owner(client, self._has_user_pool_client, region and region[1])
            return ForwardTarget(self.emulator(owner), request)
        raise ApiError("MissingAuthenticationToken", f"{request.method} {host} carries no signature", status=403)

    def _of_host(self, host: str) -> Emulator:
        api = _EXECUTE_API.fullmatch(host)
        region = api and api["region"]
        return self._in(self._owner(host, self._has_host, region), region)

    def _owner(self, name: str, has: Callable[[Emulator, str], bool], region: str | None = None) -> str:
        """Return the account that has a resource, by querying each account once.

        Args:
            name: Name of the resource.
            has: Returns True for the account that has it.
            region: Region of the resource. Default: each account's main region.
        """
        if name not in self._owners:
            owner = next((each for each in self._accounts if has(self._in(each, region), name)), None)
            if owner is None:
                raise ApiError("InvalidClientTokenId", f"no account of this rehearsal has {name}", status=403)
            self._owners[name] = owner
        return self._owners[name]

    def _in(self, account: str, region: str | None) -> Emulator:
        found = self.emulator(account)
        return found if region in {None, found.region} else found.in_region(str(region))

    @staticmethod
    def _has_key(emulator: Emulator, key: str) -> bool:
        iam = emulator.session().client("iam")
        users = (user["UserName"] for page in iam.get_paginator("list_users").paginate() for user in page["Users"])
        return any(
            known["AccessKeyId"] == key
            for user in users
            for known in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
        )

    @staticmethod
    def _is_rest(emulator: Emulator, api: str) -> bool:
        client = emulator.session().client("apigateway")
        try:
            client.get_rest_api(restApiId=api)
        except ClientError:
            return False
        return True

    @classmethod
    def _has_host(cls, emulator: Emulator, host: str) -> bool:
        session = emulator.session()
        if match := _EXECUTE_API.fullmatch(host):
            if cls._is_rest(emulator, match["api"]):
                return True
            try:
                session.client("apigatewayv2").get_api(ApiId=match["api"])
            except ClientError:
                return False
            return True
        listed = session.client("cloudfront").list_distributions()["DistributionList"].get("Items", [])
        return any(distribution["DomainName"] == host for distribution in listed)

    @staticmethod
    def _has_user_pool_client(emulator: Emulator, client_id: str) -> bool:
        cognito = emulator.session().client("cognito-idp")
        pools = cognito.list_user_pools(MaxResults=60)["UserPools"]
        return any(
            client["ClientId"] == client_id
            for pool in pools
            for client in cognito.list_user_pool_clients(UserPoolId=pool["Id"], MaxResults=60)["UserPoolClients"]
        )


def _document(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _simulate(emulator: Emulator, role_arn: str, action: str, resource: str, context: Mapping[str, str]) -> bool:
    simulated = (
        emulator.session()
        .client("iam")
        .simulate_principal_policy(
            PolicySourceArn=role_arn,
            ActionNames=[action],
            ResourceArns=[resource],
            ContextEntries=[
                {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                for key, value in context.items()
            ],
        )
    )
    return all(result["EvalDecision"] == "allowed" for result in simulated["EvaluationResults"])


def _send(emulator: Emulator, request: HttpRequest) -> httpx.Response:
    with emulator.http() as client:
        return client.send(forwarded(client, request))


def forwarded(client: httpx.Client | httpx.AsyncClient, request: HttpRequest) -> httpx.Request:
    """Return a request for an emulator, unchanged byte for byte, since it may be signed.

    Args:
        client: Client of the emulator.
        request: The received request.
    """
    path = request.path + (b"?" + request.query if request.query else b"")
    url = client.base_url.copy_with(raw_path=path)
    skipped = {b"connection", b"keep-alive", b"transfer-encoding", b"content-length", b"proxy-connection"}
    headers = [(name, value) for name, value in request.headers if name.lower() not in skipped]
    return client.build_request(request.method, url, headers=headers, content=request.body)


def _headers(response: httpx.Response) -> list[tuple[bytes, bytes]]:
    kept = {b"content-type", b"x-amzn-requestid", b"x-amz-request-id"}
    return [(name, value) for name, value in response.headers.raw if name.lower() in kept]


def _signed_again(request: HttpRequest, credentials: Credentials, region: str, *, service: str = "sts") -> HttpRequest:
    """Return the request with a new signature."""
    left_out = {b"authorization", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256"}
    kept = tuple((name, value) for name, value in request.headers if name.lower() not in left_out)
    host = request.header("host")
    query = f"?{request.query.decode('latin-1')}" if request.query else ""
    headers = {"host": host}
    if kind := request.header("content-type"):
        headers["content-type"] = kind
    signed = AWSRequest(
        method=request.method,
        url=f"https://{host}{request.path.decode('latin-1')}{query}",
        data=request.body,
        headers=headers,
    )
    key = SigningCredentials(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    SigV4Auth(key, service, region).add_auth(signed)
    added = tuple(
        (name.encode(), str(value).encode())
        for name, value in signed.headers.items()
        if name.lower().encode() in left_out
    )
    return HttpRequest(request.method, request.path, request.query, kept + added, request.body)


def _at(request: HttpRequest, address: str, host: str) -> HttpRequest:
    headers = tuple((name, value) for name, value in request.headers if name.lower() != b"host")
    return HttpRequest(
        request.method, address.encode("latin-1"), request.query, (*headers, (b"host", host.encode())), request.body
    )


def _credentials_in(content: bytes) -> Credentials | None:
    """Return the credentials in an answer of STS, as XML or JSON."""
    try:
        values = json.loads(content)["Credentials"]
    except (ValueError, KeyError, TypeError):
        try:
            root = ET.fromstring(content)  # noqa: S314  # nosec B314  # the emulator's own answer
        except ET.ParseError:
            return None
        values = {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}
    try:
        return Credentials(values["AccessKeyId"], values["SecretAccessKey"], values["SessionToken"])
    except KeyError:
        return None
