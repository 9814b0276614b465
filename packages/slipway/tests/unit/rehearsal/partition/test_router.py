"""The router between accounts: which account answers a request, and which roles may be assumed."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, cast

import pytest

from slipway.emulator.partition import ApiError, Requester
from slipway.emulator.partition.requests import HttpRequest
from slipway.emulator.partition.router import REUSE_SECONDS, ForwardTarget
from unit.rehearsal.aws import DEV, PROD, REGION, TOOLS, accounts_in
from unit.rehearsal.aws.account import Account
from unit.rehearsal.partition.sent import request

DEPLOY = f"arn:aws:iam::{DEV}:role/deploy"
PIPELINE = f"arn:aws:iam::{TOOLS}:role/pipeline"

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]


class Way:
    """The accounts, and the requests that reached the API answered by the router."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, dict[str, Any], Requester]] = []
        self.taken: list[tuple[str, dict[str, Any]]] = []
        self.accounts, self.aws = accounts_in(
            folder,
            apis={"codepipeline": self._answer},
            on_custom_resource=lambda account, content: self.taken.append((account, content)),
        )
        self.partition = self.accounts.partition
        self.aws[TOOLS].role("pipeline", f"sts:AssumeRole {DEPLOY}", "codepipeline:*")
        self.aws[DEV].role("deploy", "*", trusts={f"arn:aws:iam::{TOOLS}:root"})

    def _answer(self, operation: str, content: dict[str, Any], caller: Requester) -> dict[str, Any]:
        self.asked.append((operation, content, caller))
        return {"it": "is"}

    def sent(
        self, key: str, service: str = "dynamodb", **more: Any
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes] | ForwardTarget:
        """Send a request signed with an access key."""
        credential = f"{key}/20261120/{REGION}/{service}/aws4_request"
        signed = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
        return self.partition.answer(request(authorization=signed, **more))

    def reached(self, sent: object) -> tuple[str, HttpRequest]:
        """Return the account that a request is forwarded to, and the request."""
        assert isinstance(sent, ForwardTarget)
        return sent.emulator.account, sent.request


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path)


# --- The caller's account ---


@pytest.mark.parametrize("account", [TOOLS, DEV, PROD])
def test_an_accounts_root_reaches_its_account(way: Way, account: str) -> None:
    assert way.reached(way.sent(account, path=b"/a%20b", query=b"q=1"))[0] == account


def test_a_session_reaches_the_account_of_its_role(way: Way) -> None:
    pipeline = way.partition.assume(PIPELINE, "run")
    deploy = way.partition.assume(DEPLOY, "run", by=pipeline)
    assert way.reached(way.sent(pipeline.access_key_id))[0] == TOOLS
    assert way.reached(way.sent(deploy.access_key_id))[0] == DEV


def test_a_users_key_is_looked_up_once(way: Way) -> None:
    way.aws[PROD].iam.keys["caller"] = ["AKIA000000000000USER"]
    assert [way.reached(way.sent("AKIA000000000000USER"))[0] for _ in range(3)] == [PROD] * 3
    assert [action for _, action in way.aws[PROD].asked].count("iam:ListUsers") == 1


@pytest.mark.parametrize(("key", "code"), [("AKIANOBODY", "InvalidClientTokenId"), ("123456789012", "AccessDenied")])
def test_an_unknown_key_is_refused(way: Way, key: str, code: str) -> None:
    with pytest.raises(ApiError, match=key) as error:
        way.sent(key)
    assert (error.value.code, error.value.status) == (code, 403)


# --- Answered by the router ---


def test_missing_api_is_answered_with_the_callers_identity(way: Way) -> None:
    key = way.partition.assume(PIPELINE, "run").access_key_id
    content = json.dumps({"name": "slipway"}).encode()
    answer = way.sent(key, "codepipeline", body=content, x_amz_target="CodePipeline_20150709.GetPipelineState")
    assert answer == (200, [(b"content-type", b"application/x-amz-json-1.1")], b'{"it": "is"}')
    assert way.asked == [("GetPipelineState", {"name": "slipway"}, Requester(TOOLS, key, "pipeline"))]


def test_a_function_calls_with_its_accounts_identity(way: Way) -> None:
    way.sent(
        "ASIAUNKNOWN", "codepipeline", path=f"/_from/{PROD}/".encode(), x_amz_target="CodePipeline.GetPipelineState"
    )
    assert way.asked == [("GetPipelineState", {}, Requester(PROD, "ASIAUNKNOWN"))]


def test_requests_of_a_function_are_accepted(way: Way) -> None:
    answer = way.partition.answer(request(path=f"/_rehearsal/{DEV}".encode(), body=b'{"RequestType": "Create"}'))
    assert cast("Answer", answer)[0] == 202
    assert way.taken == [(DEV, {"RequestType": "Create"})]


# --- Across accounts ---


def test_role_is_assumed_across_accounts_if_both_allow(way: Way) -> None:
    deploy = way.partition.assume(DEPLOY, "run", by=way.partition.assume(PIPELINE, "run"))
    session = way.aws[DEV].sessions[deploy.access_key_id]
    assert (session.account, session.role, session.session) == (DEV, "deploy", "run")


def test_the_callers_own_policies_have_to_allow_it(way: Way) -> None:
    way.aws[TOOLS].role("pipeline", f"sts:AssumeRole {DEPLOY}-other")
    pipeline = way.partition.assume(PIPELINE, "run")
    with pytest.raises(
        ApiError, match="assumed-role/pipeline/run is not authorized to perform: sts:AssumeRole"
    ) as error:
        way.partition.assume(DEPLOY, "run", by=pipeline)
    assert "because no identity-based policy allows it" in str(error.value)


@pytest.mark.parametrize("trusts", [set(), {f"arn:aws:iam::{PROD}:root"}, {"service"}])
def test_the_roles_trust_has_to_allow_it(way: Way, trusts: set[str]) -> None:
    way.aws[DEV].role("deploy", "*", trusts=trusts)
    with pytest.raises(ApiError, match="is not authorized to perform: sts:AssumeRole"):
        way.partition.assume(DEPLOY, "run", by=way.partition.assume(PIPELINE, "run"))


def test_a_role_that_trusts_one_role_refuses_others(way: Way) -> None:
    way.aws[DEV].role("deploy", "*", trusts={PIPELINE})
    way.aws[TOOLS].role("other", "sts:AssumeRole")
    way.partition.assume(DEPLOY, "run", by=way.partition.assume(PIPELINE, "run"))
    with pytest.raises(ApiError, match="assumed-role/other"):
        way.partition.assume(DEPLOY, "run", by=way.partition.assume(f"arn:aws:iam::{TOOLS}:role/other", "run"))


def test_session_may_assume_a_role_in_another_account(way: Way) -> None:
    way.aws[DEV].role("deploy", "sts:AssumeRole", trusts={PIPELINE})
    way.aws[PROD].role("reader", "*", trusts={DEPLOY})
    first = way.partition.assume(DEPLOY, "run", by=way.partition.assume(PIPELINE, "run"))
    second = way.partition.assume(f"arn:aws:iam::{PROD}:role/reader", "run", by=first)
    assert way.reached(way.sent(second.access_key_id))[0] == PROD


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        ("not a role", "ValidationError"),
        (f"arn:aws:iam::{DEV}:role/gone", "AccessDenied"),
        ("arn:aws:iam::123456789012:role/deploy", "AccessDenied"),
    ],
)
def test_an_invalid_or_unknown_role_is_refused(way: Way, arn: str, code: str) -> None:
    with pytest.raises(ApiError) as error:
        way.partition.assume(arn, "run", by=way.partition.assume(PIPELINE, "run"))
    assert error.value.code == code


def test_session_is_reused_for_a_while_by_name(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    first = way.partition.assume(PIPELINE, "one")
    assert way.partition.assume(PIPELINE, "one") == first
    assert way.partition.assume(PIPELINE, "two") != first
    now = time.monotonic()
    monkeypatch.setattr("slipway.emulator.partition.router.time.monotonic", lambda: now + REUSE_SECONDS + 1)
    assert way.partition.assume(PIPELINE, "one") != first


# --- By host name ---


def test_an_api_is_found_by_its_own_host(way: Way) -> None:
    way.aws[DEV].gateway.rest.add("abc123")
    way.aws[PROD].gateway.http.add("def456")
    rest = way.partition.answer(
        request(
            method="GET", path=b"/live/items/a%2Fb", query=b"q=1", host=f"abc123.execute-api.{REGION}.amazonaws.com"
        )
    )
    account, sent = way.reached(rest)
    assert (account, sent.path) == (DEV, b"/restapis/abc123/live/_user_request_/items/a%2Fb")
    assert (sent.query, sent.header("host")) == (b"q=1", "localhost")
    http = way.partition.answer(request(path=b"/process", host=f"def456.execute-api.{REGION}.amazonaws.com"))
    account, sent = way.reached(http)
    assert (account, sent.path) == (PROD, b"/_aws/execute-api/def456/$default/process")


def test_an_api_is_found_in_its_hosts_region(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an account with an API in its second region
    second = Account(DEV, region="eu-central-1")
    second.gateway.http.add("def456")
    regions: list[str] = []

    def in_region(region: str) -> Account:
        regions.append(region)
        return second

    monkeypatch.setattr(way.aws[DEV], "in_region", in_region)

    answer = way.partition.answer(request(path=b"/process", host="def456.execute-api.eu-central-1.amazonaws.com"))

    account, sent = way.reached(answer)
    assert (account, sent.path) == (DEV, b"/_aws/execute-api/def456/$default/process")
    assert set(regions) == {"eu-central-1"}


def test_a_distribution_is_found_by_its_own_host(way: Way) -> None:
    way.aws[PROD].gateway.distributions.add("d1.cloudfront.net")
    account, sent = way.reached(way.partition.answer(request(method="GET", host="d1.cloudfront.net")))
    assert (account, sent.header("host")) == (PROD, "d1.cloudfront.net")


def test_a_user_pool_is_found_by_its_client(way: Way) -> None:
    way.aws[DEV].gateway.clients.add("client1")
    target = "AWSCognitoIdentityProviderService.InitiateAuth"
    sent = way.partition.answer(request(body=b'{"ClientId": "client1"}', x_amz_target=target))
    assert way.reached(sent)[0] == DEV


@pytest.mark.parametrize("host", [f"gone.execute-api.{REGION}.amazonaws.com", "gone.cloudfront.net"])
def test_an_unknown_host_is_refused(way: Way, host: str) -> None:
    with pytest.raises(ApiError, match=f"no account of this rehearsal has {host}"):
        way.partition.answer(request(host=host))


def test_unsigned_requests_are_refused(way: Way) -> None:
    with pytest.raises(ApiError, match=f"POST dynamodb.{REGION}.amazonaws.com carries no signature") as error:
        way.partition.answer(request(host=f"dynamodb.{REGION}.amazonaws.com"))
    assert (error.value.code, error.value.status) == ("MissingAuthenticationToken", 403)


def test_signed_api_request_is_signed_again_for_its_target(way: Way) -> None:
    way.aws[DEV].gateway.rest.add("abc123")
    key = way.partition.assume(PIPELINE, "run")
    host = f"abc123.execute-api.{REGION}.amazonaws.com"
    account, sent = way.reached(way.sent(key.access_key_id, "execute-api", path=b"/live/items", host=host, body=b"{}"))
    assert account == DEV
    assert f"Credential={key.access_key_id}/" in sent.header("authorization")
    assert re.search(r"Signature=[0-9a-f]{64}$", sent.header("authorization"))
    assert sent.header("x-amz-security-token") == key.session_token
    # But not for an unknown key
    with pytest.raises(ApiError) as error:
        way.sent("ASIAUNKNOWN", "execute-api", path=b"/live/items", host=host)
    assert error.value.code == "InvalidClientTokenId"
