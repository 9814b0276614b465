"""Rules about AWS WAF: which requests are counted, and where a web ACL is."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.rules.aws.rule import planted_stack
from unit.rules.aws.judging import broken

SECRET = "{{resolve:secretsmanager:edge:SecretString:header::}}"


def _method(name: str) -> dict[str, Any]:
    match = {"FieldToMatch": {"Method": {}}, "PositionalConstraint": "EXACTLY", "SearchString": name}
    return {"ByteMatchStatement": match}


def _header(value: Any) -> dict[str, Any]:
    field = {"SingleHeader": {"Name": "x-origin-verify"}}
    return {"ByteMatchStatement": {"FieldToMatch": field, "PositionalConstraint": "EXACTLY", "SearchString": value}}


def _not(statement: dict[str, Any]) -> dict[str, Any]:
    return {"NotStatement": {"Statement": statement}}


READS = {"OrStatement": {"Statements": [_method("GET"), _method("HEAD")]}}


def _acl(*rates: dict[str, Any], **properties: Any) -> dict[str, Any]:
    rules = [{"Name": str(place), "Statement": {"RateBasedStatement": rate}} for place, rate in enumerate(rates)]
    return {"Acl": {"Type": "AWS::WAFv2::WebACL", "Properties": {"Rules": rules, **properties}}}


def _rate(kind: str = "IP", scope: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"AggregateKeyType": kind, "Limit": 100, **({"ScopeDownStatement": scope} if scope else {})}


@pytest.mark.parametrize(
    "acl",
    [
        _acl(_rate()),
        _acl(_rate("CONSTANT", _not(_header(SECRET)))),
        _acl(_rate(scope=READS), _rate(scope=_not(READS))),
        _acl(_rate(scope=_not(_header({"Fn::Join": ["", ["{{resolve:secretsmanager:", {"Ref": "S"}, ":…}}"]]})))),
        _acl(_rate("FORWARDED_IP"), _rate()),
    ],
)
def test_every_request_is_counted(acl: dict[str, Any]) -> None:
    assert broken("EveryRequestCounted", acl) == []


@pytest.mark.requirement("the API", "a rate rule that an absent or forged header switches off")
@pytest.mark.parametrize(
    "acl",
    [
        _acl(),
        _acl(_rate("FORWARDED_IP")),
        _acl(_rate("CUSTOM_KEYS")),
        # Writes are counted by connection, reads by a header that the caller controls
        _acl(_rate(scope=_not(READS)), _rate("FORWARDED_IP", READS)),
        # A value that is written in the template may be known to callers
        _acl(_rate(scope=_not(_header("let-me-in")))),
        _acl(_rate(scope=_header(SECRET))),
        _acl(_rate(scope={"GeoMatchStatement": {"CountryCodes": ["US"]}})),
    ],
)
def test_a_request_that_no_rule_counts_is_found(acl: dict[str, Any]) -> None:
    assert broken("EveryRequestCounted", acl) == ["Acl"]


def _edge(value: Any, **config: Any) -> dict[str, Any]:
    origin = {"OriginCustomHeaders": [{"HeaderName": "X-Origin-Verify", "HeaderValue": value}]}
    properties = {"DistributionConfig": {"Origins": [origin], **config}}
    return {"Edge": {"Type": "AWS::CloudFront::Distribution", "Properties": properties}}


def test_excluded_edge_must_count_its_own_requests() -> None:
    acl = _acl(_rate(scope=_not(_header(SECRET))))

    assert broken("EdgeCountsItsViewers", {**acl, **_edge(SECRET)}) == ["Edge"]
    assert broken("EdgeCountsItsViewers", {**acl, **_edge(SECRET, WebACLId="arn")}) == []
    assert broken("EdgeCountsItsViewers", {**acl, **_edge("{{resolve:secretsmanager:other:SecretString:a::}}")}) == []
    assert broken("EdgeCountsItsViewers", {**_acl(_rate()), **_edge(SECRET)}) == []


def test_edges_of_other_environments_do_not_count() -> None:
    # Given two environments whose references to their secrets are written identically
    secret = {"Fn::Join": ["", ["{{resolve:secretsmanager:", {"Ref": "Secret"}, ":SecretString:header::}}"]]}
    held = {"Secret": {"Type": "AWS::SecretsManager::Secret"}}
    prod = planted_stack(
        {**held, **_acl(_rate(scope=_not(_header(secret)))), **_edge(secret, WebACLId="a")}, name="prod"
    )
    dev = planted_stack({**held, **_edge(secret)}, name="dev")

    assert broken("EdgeCountsItsViewers", None, prod, dev) == []


def test_edge_web_acl_is_in_us_east_1() -> None:
    acl = _acl(_rate(), Scope="CLOUDFRONT")

    assert broken("EdgeAclInUsEast1", acl) == ["Acl"]
    assert broken("EdgeAclInUsEast1", None, planted_stack(acl, region="us-east-1")) == []
    assert broken("EdgeAclInUsEast1", _acl(_rate(), Scope="REGIONAL")) == []
