"""The change review never treats a foreign caller as our own, for principals under random conditions.

The oracle does not know how the review interprets conditions. It tries foreign callers, each with the keys
that AWS would send, and evaluates the statement naively (`naive.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from properties import naive
from slipway.review.assembly import Assembly, ReviewedStack, StackKey
from slipway.review.comparison import compare
from slipway.review.findings import Severity

OWN, FOREIGN, REGION = "444455556666", "777788889999", "eu-west-1"
Json = Any
Statement = dict[str, Json]
Context = dict[str, str]

EXAMPLES = 300


def _assembly(resources: Mapping[str, Json]) -> Assembly:
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    key = StackKey(OWN, REGION, "blue-data")
    return Assembly(
        stacks=(ReviewedStack(key=key, stage="blue", path="Blue", template={"Resources": {**topic, **resources}}),)
    )


def _bucket(*statements: Statement) -> dict[str, Json]:
    policy = {"Bucket": {"Ref": "Bucket"}, "PolicyDocument": {"Statement": list(statements)}}
    return {"Bucket": {"Type": "AWS::S3::Bucket"}, "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": policy}}


def _key(*statements: Statement) -> dict[str, Json]:
    return {"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": {"Statement": list(statements)}}}}


def _role(*statements: Statement) -> dict[str, Json]:
    properties = {"AssumeRolePolicyDocument": {"Statement": list(statements)}}
    return {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}


def _gravest(before: Mapping[str, Json], after: Mapping[str, Json]) -> Severity | None:
    findings = compare(_assembly(before), _assembly(after)).findings
    return min((finding.severity for finding in findings), key=lambda severity: severity.rank, default=None)


# Principals under conditions

VALUES: Mapping[str, list[str]] = {
    "aws:PrincipalAccount": [OWN, FOREIGN, "4444*", "*"],
    "kms:CallerAccount": [OWN, FOREIGN],
    "aws:SourceAccount": [OWN, FOREIGN, "????????????"],
    "aws:PrincipalArn": [
        f"arn:aws:iam::{OWN}:role/*",
        f"arn:aws:iam::{FOREIGN}:role/reader",
        "arn:aws:iam::*:role/reader",
        "arn:aws:iam::77*:role/*",
        "*",
    ],
    "aws:SourceArn": [f"arn:aws:sns:*:{OWN}:*", f"arn:aws:sns:*:{FOREIGN}:*", "arn:aws:sns:*:*:*", "arn:*"],
    "aws:PrincipalOrgID": ["o-ours12345", "o-*"],
    "aws:SourceVpce": ["vpce-1", "vpce-*"],
    "aws:PrincipalTag/team": ["blue"],
    "aws:SecureTransport": ["true"],
}
OPERATORS = (
    "StringEquals",
    "StringLike",
    "StringNotEquals",
    "StringNotLike",
    "StringEqualsIfExists",
    "StringLikeIfExists",
    "ForAllValues:StringLike",
    "ForAnyValue:StringLike",
)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, dict[str, Json]]:
    """Draw one to three conditions on different keys, some of which a request must or must not have."""
    block: dict[str, dict[str, Json]] = {}
    for key in draw(st.lists(st.sampled_from(sorted(VALUES)), min_size=1, max_size=3, unique=True)):
        operator = draw(st.sampled_from(OPERATORS))
        chosen = draw(st.lists(st.sampled_from(VALUES[key]), min_size=1, max_size=2, unique=True))
        block.setdefault(operator, {})[key] = chosen
        if draw(st.integers(0, 3)) == 0:
            block.setdefault("Null", {})[key] = draw(st.sampled_from(["true", "false"]))
    return block


def strangers() -> Iterator[Context]:
    """Yield AWS's context for foreign callers: nobody, someone in another account, a service on someone's behalf."""
    endpoints = (None, "vpce-9")
    for endpoint, organization, team in itertools.product(endpoints, (None, "o-theirs6789"), (None, "blue")):
        common = {"aws:securetransport": "true"} | ({"aws:sourcevpce": endpoint} if endpoint else {})
        yield dict(common)
        for name in ("reader", "writer"):
            yield {
                **common,
                "aws:principalaccount": FOREIGN,
                "kms:calleraccount": FOREIGN,
                "aws:principalarn": f"arn:aws:iam::{FOREIGN}:role/{name}",
                **({"aws:principalorgid": organization} if organization else {}),
                **({"aws:principaltag/team": team} if team else {}),
            }
        yield {
            **common,
            "aws:sourceaccount": FOREIGN,
            "aws:sourcearn": f"arn:aws:sns:{REGION}:{FOREIGN}:topic",
        }


def _named(block: Mapping[str, Mapping[str, Json]]) -> set[str]:
    return {value for keys in block.values() for values in keys.values() for value in values}


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "changed"])
@pytest.mark.parametrize("resource", [_bucket, _key], ids=["bucket", "key"])
@settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True)
@given(block=conditions())
def test_no_stranger_is_missed_under_conditions(resource: Any, block: dict[str, dict[str, Json]], is_new: bool) -> None:
    # Given a statement for everyone under conditions
    statement = {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*", "Condition": block}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"}

    # When it is added, with its resource or to an existing one
    severity = _gravest({} if is_new else resource(denied), resource(denied, statement))

    # Then it is critical if a foreign caller is allowed
    let_in = [context for context in strangers() if naive.holds_for(block, context)]
    assert severity is not None
    if let_in:
        assert severity == Severity.CRITICAL, let_in[0]
    # And it is not if only our own accounts and known values are named, and the key is required
    elif set(block) <= {"StringEquals", "ForAnyValue:StringLike"} and _named(block) <= {
        OWN,
        f"arn:aws:iam::{OWN}:role/*",
        f"arn:aws:sns:*:{OWN}:*",
        "o-ours12345",
        "vpce-1",
    }:
        assert severity != Severity.CRITICAL


# Tokens of identity providers

GITHUB = "token.actions.githubusercontent.com"
TOKENS = {
    "repo:blue/shop:ref:refs/heads/main": True,
    "repo:blue/shop:pull_request": True,
    "repo:blue/shop:environment:prod": True,
    "repo:blue/other:ref:refs/heads/main": False,
    "repo:blue/shopping:ref:refs/heads/main": False,
    "repo:green/shop:ref:refs/heads/main": False,
    "repo:evil/blue:ref:refs/heads/blue/shop:pull_request": False,
}
"""Subjects of tokens, and whether they belong to the intended repository."""

SUBJECTS = (
    "repo:blue/shop:ref:refs/heads/main",
    "repo:blue/shop:*",
    "repo:blue/shop:environment:*",
    "repo:blue/shop*",
    "repo:blue/*",
    "repo:*/shop:*",
    "repo:*:pull_request",
    "repo:b?ue/shop:*",
    "*",
)


@settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True)
@given(
    operator=st.sampled_from(["StringEquals", "StringLike", "StringLikeIfExists", "ForAllValues:StringLike"]),
    subjects=st.lists(st.sampled_from(SUBJECTS), min_size=0, max_size=2, unique=True),
    is_new=st.booleans(),
)
def test_no_other_repository_is_missed(operator: str, subjects: list[str], is_new: bool) -> None:
    # Given a role that tokens of an identity provider may assume
    block: dict[str, dict[str, Json]] = {"StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com"}}
    if subjects:
        block.setdefault(operator, {})[f"{GITHUB}:sub"] = subjects
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{OWN}:oidc-provider/{GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": block,
    }
    lambdas = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}

    # When the role is added, or the statement is added to it
    severity = _gravest({} if is_new else _role(lambdas), _role(lambdas, statement))

    # Then it is critical if a token of another repository, or one without a subject, is enough
    audience = {f"{GITHUB}:aud": "sts.amazonaws.com"}
    contexts = [audience, *({**audience, f"{GITHUB}:sub": subject} for subject, ours in TOKENS.items() if not ours)]
    others = [context for context in contexts if naive.holds_for(block, context)]
    assert severity is not None
    if others:
        assert severity == Severity.CRITICAL, others[0]
    # And it is not if every subject belongs to the intended repository
    elif all(subject.startswith("repo:blue/shop:") for subject in subjects):
        assert severity != Severity.CRITICAL
