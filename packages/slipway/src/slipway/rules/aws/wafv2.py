"""Rules on AWS WAF: requests that rate rules count, and the region of a web ACL for the edge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Stack, Templates, Value, text

_FORWARDED = "https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-forwarded-ip-address.html"
_SCOPE = "https://docs.aws.amazon.com/waf/latest/developerguide/how-aws-waf-works-resources.html"

_ACL = "AWS::WAFv2::WebACL"
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")

# CloudFormation resolves it at deployment: no template contains its value, and no caller knows it.
_SECRET = re.compile(r"\{\{resolve:secretsmanager:")


def _uncounted(templates: Templates) -> Iterator[Found]:
    for acl in templates.of_type(_ACL):
        rates = [
            statement
            for rule in acl.get("Rules") or []
            if (statement := rule.get("Statement", {}).get("RateBasedStatement")) is not None
            and statement.get("AggregateKeyType") in {"IP", "CONSTANT"}
        ]
        for method in _METHODS:
            if not any(_always(rate.get("ScopeDownStatement"), method) for rate in rates):
                yield Found(acl.stack, acl.logical_id)
                break


def _always(statement: Mapping[str, Any] | None, method: str) -> bool:
    """Return True if a statement matches every request with a method, whatever its caller sends."""
    return statement is None or _holds(statement, method) is True


def _holds(statement: Mapping[str, Any], method: str) -> bool | None:
    """Return whether a statement matches requests with a method; None if the caller decides, or it is unclear."""
    match statement:
        case {"NotStatement": {"Statement": inner}}:
            found = _holds(inner, method)
            return None if found is None else not found
        case {"AndStatement": {"Statements": list(parts)}}:
            each = [_holds(part, method) for part in parts]
            return False if False in each else None if None in each else True
        case {"OrStatement": {"Statements": list(parts)}}:
            each = [_holds(part, method) for part in parts]
            return True if True in each else None if None in each else False
        case {"ByteMatchStatement": {"FieldToMatch": {"Method": _}, "PositionalConstraint": "EXACTLY"} as match}:
            return str(match.get("SearchString")).upper() == method
        case {"ByteMatchStatement": {"FieldToMatch": {"SingleHeader": _}, "PositionalConstraint": "EXACTLY"} as match}:
            return False if _SECRET.search(text(match.get("SearchString"))) else None
    return None


def _proof(acl: Resource) -> Value:
    """Return the secret that exempts a request from a web ACL's rate rules, or None."""
    for rule in acl.get("Rules") or []:
        match rule.get("Statement", {}).get("RateBasedStatement", {}).get("ScopeDownStatement"):
            case {
                "NotStatement": {
                    "Statement": {"ByteMatchStatement": {"FieldToMatch": {"SingleHeader": _}, "SearchString": secret}}
                }
            }:
                return secret
    return None


def _counted_nowhere(templates: Templates) -> Iterator[Found]:
    proofs = [(acl.stack, secret) for acl in templates.of_type(_ACL) if (secret := _proof(acl)) is not None]
    for distribution in templates.of_type("AWS::CloudFront::Distribution"):
        config = distribution.get("DistributionConfig") or {}
        sent = [
            header.get("HeaderValue")
            for origin in config.get("Origins") or []
            for header in origin.get("OriginCustomHeaders") or []
        ]
        if not config.get("WebACLId") and any(
            _is_same(templates, (distribution.stack, value), proof) for value in sent for proof in proofs
        ):
            yield Found(distribution.stack, distribution.logical_id)


def _is_same(templates: Templates, one: tuple[Stack, Value], other: tuple[Stack, Value]) -> bool:
    """Return True if two values are the same secret: by their reference, or literally."""
    secrets = [set(map(_place, templates.referred(*each))) for each in (one, other)]
    return bool(secrets[0] & secrets[1]) if any(secrets) else one[1] == other[1]


def _place(resource: Resource) -> tuple[str, str]:
    return resource.stack.path, resource.logical_id


def _elsewhere(templates: Templates) -> Iterator[Found]:
    for acl in templates.of_type(_ACL, "AWS::WAFv2::IPSet", "AWS::WAFv2::RegexPatternSet", "AWS::WAFv2::RuleGroup"):
        if acl.get("Scope") == "CLOUDFRONT" and acl.stack.region != "us-east-1":
            yield Found(acl.stack, acl.logical_id)


def _by_forwarded_address() -> Mapping[str, Any]:
    rate = {
        "AggregateKeyType": "FORWARDED_IP",
        "Limit": 1000,
        "ForwardedIPConfig": {"HeaderName": "X-Forwarded-For", "FallbackBehavior": "MATCH"},
    }
    return {"Scope": "REGIONAL", "Rules": [{"Name": "Rate", "Statement": {"RateBasedStatement": rate}}]}


_SHOWN = "{{resolve:secretsmanager:edge:SecretString:header::}}"
_UNLESS_SECRET = {
    "NotStatement": {
        "Statement": {
            "ByteMatchStatement": {
                "FieldToMatch": {"SingleHeader": {"Name": "x-origin-verify"}},
                "PositionalConstraint": "EXACTLY",
                "SearchString": _SHOWN,
            }
        }
    }
}

RULES = (
    AwsRule(
        name="EveryRequestCounted",
        does="WAF does not apply a rule by forwarded address to a request without the header, and takes the first "
        "address in it, which the caller can forge.",
        says="A web ACL has no rate rule by the connection's address that counts every request, whatever its method "
        "and headers.",
        fix="Add a rate rule with AggregateKeyType IP and no scope-down; to exempt requests from an edge, match a "
        "header against a secret that CloudFormation resolves, and count at the edge.",
        source=_FORWARDED,
        check=_uncounted,
        planted={"Acl": {"Type": _ACL, "Properties": _by_forwarded_address()}},
    ),
    AwsRule(
        name="EdgeCountsItsViewers",
        does="A request with the edge's secret comes from CloudFront's addresses, so the web ACL at the origin "
        "cannot distinguish its viewers.",
        says="The rate rule at the origin exempts a distribution's requests, but the distribution has no web ACL.",
        fix="Give the distribution a web ACL of scope CLOUDFRONT with a rate rule.",
        source=_FORWARDED,
        check=_counted_nowhere,
        planted={
            "Acl": {
                "Type": _ACL,
                "Properties": {
                    "Rules": [
                        {
                            "Statement": {
                                "RateBasedStatement": {"AggregateKeyType": "IP", "ScopeDownStatement": _UNLESS_SECRET}
                            }
                        }
                    ]
                },
            },
            "Distribution": {
                "Type": "AWS::CloudFront::Distribution",
                "Properties": {
                    "DistributionConfig": {
                        "Origins": [{"OriginCustomHeaders": [{"HeaderName": "X-Origin-Verify", "HeaderValue": _SHOWN}]}]
                    }
                },
            },
        },
    ),
    AwsRule(
        name="EdgeAclInUsEast1",
        does="WAF only creates resources with the scope CLOUDFRONT in us-east-1.",
        says="A web ACL, or a part of one, with the scope CLOUDFRONT is in a stack of another region.",
        fix="Create it in a stack in us-east-1, and pass its ARN to the distribution.",
        source=_SCOPE,
        check=_elsewhere,
        planted={"Acl": {"Type": _ACL, "Properties": {"Scope": "CLOUDFRONT", "Rules": []}}},
    ),
)
