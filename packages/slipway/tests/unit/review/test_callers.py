"""Whom a statement allows, through its principal and its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway.review.findings import Severity
from slipway.review.iam.callers import Caller, callers
from slipway.review.iam.conditions import read_conditions
from slipway.review.iam.statements import read_principals
from unit.review.assemblies import ACCOUNT, STRANGER, found, resource
from unit.review.planted import policy_of_bucket

GITHUB = "token.actions.githubusercontent.com"
HERE = f"arn:aws:iam::{ACCOUNT}:oidc-provider/"
Condition = Mapping[str, Mapping[str, Any]]


def _equals(key: str, *values: str, operator: str = "StringEquals") -> Condition:
    return {operator: {key: list(values)}}


def _callers(principal: Any, condition: Condition | None = None, *, action: str = "s3:GetObject") -> Caller:
    (name,) = read_principals(principal)
    return callers(name, action, read_conditions(condition), {ACCOUNT})


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (None, Caller.EVERYBODY),
        # An account, by various keys
        (_equals("aws:PrincipalAccount", ACCOUNT), Caller.OWN),
        (_equals("aws:PrincipalAccount", STRANGER), Caller.STRANGER),
        (_equals("kms:CallerAccount", STRANGER), Caller.STRANGER),
        (_equals("aws:SourceAccount", STRANGER), Caller.STRANGER),
        (_equals("aws:SourceOwner", STRANGER), Caller.STRANGER),
        (_equals("aws:PrincipalAccount", ACCOUNT, STRANGER), Caller.STRANGER),
        (_equals("aws:PrincipalAccount", "${aws:ResourceAccount}"), Caller.OWN),
        (_equals("aws:PrincipalAccount", "${aws:PrincipalAccount}"), Caller.EVERYBODY),
        (_equals("aws:PrincipalAccount", "3*", operator="StringLike"), Caller.EVERYBODY),
        # An ARN, by its account
        (_equals("aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:role/*", operator="ArnLike"), Caller.OWN),
        (_equals("aws:PrincipalArn", f"arn:aws:iam::{STRANGER}:role/a", operator="ArnEquals"), Caller.STRANGER),
        (_equals("aws:PrincipalArn", "arn:aws:iam::*:role/a", operator="ArnLike"), Caller.EVERYBODY),
        (_equals("aws:PrincipalArn", "arn:aws:iam::????????????:role/a", operator="StringLike"), Caller.EVERYBODY),
        (_equals("aws:PrincipalArn", "arn:*", operator="StringLike"), Caller.EVERYBODY),
        (_equals("aws:PrincipalArn", "*", operator="ArnLike"), Caller.EVERYBODY),
        (_equals("aws:SourceArn", f"arn:aws:sns:*:{ACCOUNT}:*", operator="ArnLike"), Caller.OWN),
        (_equals("aws:SourceArn", "arn:aws:s3:::a-bucket", operator="ArnLike"), Caller.LIMITED),
        (_equals("aws:SourceArn", "arn:aws:s3:::*", operator="ArnLike"), Caller.EVERYBODY),
        # An organisation, a network, an id
        (_equals("aws:PrincipalOrgID", "o-1"), Caller.LIMITED),
        (_equals("aws:PrincipalOrgID", "o-*", operator="StringLike"), Caller.EVERYBODY),
        (_equals("aws:PrincipalOrgPaths", "o-1/r-1/*", operator="ForAnyValue:StringLike"), Caller.LIMITED),
        (_equals("aws:SourceIp", "203.0.113.0/24", operator="IpAddress"), Caller.LIMITED),
        (_equals("aws:SourceIp", "203.0.113.0/24", "0.0.0.0/0", operator="IpAddress"), Caller.EVERYBODY),
        (_equals("aws:SourceIp", "0.0.0.0/1", "128.0.0.0/1", operator="IpAddress"), Caller.EVERYBODY),
        (_equals("aws:SourceVpce", "vpce-1"), Caller.LIMITED),
        (_equals("aws:SourceVpce", "vpce-*", operator="StringLike"), Caller.EVERYBODY),
        (_equals("aws:userid", "AROA1:*", operator="StringLike"), Caller.LIMITED),
        (_equals("aws:userid", "*:session", operator="StringLike"), Caller.EVERYBODY),
        ({"Bool": {"aws:PrincipalIsAWSService": True}}, Caller.SERVICE),
        ({"Bool": {"aws:PrincipalIsAWSService": False}}, Caller.EVERYBODY),
        # Values that any account can have
        (_equals("aws:PrincipalTag/team", "a"), Caller.EVERYBODY),
        (_equals("kms:ViaService", "s3.us-east-1.amazonaws.com"), Caller.EVERYBODY),
        ({"Bool": {"aws:SecureTransport": True}}, Caller.EVERYBODY),
        # Conditions that hold if the key is missing
        (_equals("aws:PrincipalOrgID", "o-1", operator="ForAllValues:StringEquals"), Caller.EVERYBODY),
        (_equals("aws:PrincipalAccount", ACCOUNT, operator="StringEqualsIfExists"), Caller.EVERYBODY),
        (_equals("aws:PrincipalAccount", STRANGER, operator="StringNotEquals"), Caller.EVERYBODY),
        ({"Null": {"aws:PrincipalOrgID": "false"}}, Caller.EVERYBODY),
        ({"Null": {"aws:PrincipalOrgID": "true"}}, Caller.EVERYBODY),
        (
            {
                **_equals("aws:PrincipalOrgID", "o-1", operator="ForAllValues:StringEquals"),
                "Null": {"aws:PrincipalOrgID": False},
            },
            Caller.LIMITED,
        ),
        # Several conditions, all of which have to hold
        ({"StringEquals": {"aws:PrincipalAccount": STRANGER, "aws:PrincipalOrgID": "o-1"}}, Caller.STRANGER),
        ({"StringEquals": {"kms:CallerAccount": ACCOUNT, "aws:PrincipalOrgID": "o-1"}}, Caller.OWN),
    ],
)
def test_conditions_narrow_a_public_principal(condition: Condition | None, expected: Caller) -> None:
    assert _callers("*", condition) == expected
    assert _callers({"AWS": "*"}, condition) == expected


@pytest.mark.parametrize(
    ("principal", "condition", "expected"),
    [
        ({"AWS": ACCOUNT}, None, Caller.OWN),
        ({"AWS": STRANGER}, None, Caller.STRANGER),
        ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}, None, Caller.SERVICE),
        ({"Service": "cloudfront.amazonaws.com"}, None, Caller.SERVICE),
        ({"Service": "sns.amazonaws.com"}, _equals("aws:SourceAccount", ACCOUNT), Caller.SERVICE),
        ({"Service": "sns.amazonaws.com"}, _equals("aws:SourceAccount", STRANGER), Caller.STRANGER),
    ],
)
def test_named_principals_are_distinguished(principal: Any, condition: Condition | None, expected: Caller) -> None:
    assert _callers(principal, condition) == expected


def _subject(value: str, *, issuer: str = GITHUB, operator: str = "StringLike") -> Condition:
    return {operator: {f"{issuer}:sub": value}, "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com"}}


@pytest.mark.parametrize(
    ("issuer", "condition", "expected"),
    [
        (GITHUB, None, Caller.ANY_TENANT),
        (GITHUB, _equals(f"{GITHUB}:aud", "sts.amazonaws.com"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:owner/name:ref:refs/heads/main"), Caller.FEDERATED),
        (GITHUB, _subject("repo:owner/name:*"), Caller.FEDERATED),
        (GITHUB, _subject("repo:owner/name*"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:owner/*"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:*"), Caller.ANY_TENANT),
        (GITHUB, _subject("*"), Caller.ANY_TENANT),
        (GITHUB, _equals(f"{GITHUB}:sub", "repo:owner/name:*", "repo:owner/*"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:owner/name:*", operator="ForAllValues:StringLike"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:owner/name:*", operator="ForAnyValue:StringLike"), Caller.FEDERATED),
        (GITHUB, _subject("repo:owner/name:*", operator="StringLikeIfExists"), Caller.ANY_TENANT),
        (GITHUB, _subject("repo:owner/name:*", operator="StringNotLike"), Caller.ANY_TENANT),
        ("gitlab.com", _subject("project_path:group/*", issuer="gitlab.com"), Caller.ANY_TENANT),
        ("gitlab.com", _subject("project_path:group/project:*", issuer="gitlab.com"), Caller.FEDERATED),
        ("app.terraform.io", _subject("organization:*", issuer="app.terraform.io"), Caller.ANY_TENANT),
        ("app.terraform.io", _subject("organization:a:*", issuer="app.terraform.io"), Caller.FEDERATED),
        ("oidc.eks.us-east-1.amazonaws.com/id/A", None, Caller.LIMITED),
    ],
)
def test_subject_has_to_name_a_repository(issuer: str, condition: Condition | None, expected: Caller) -> None:
    action = "sts:AssumeRoleWithWebIdentity"

    assert _callers({"Federated": f"{HERE}{issuer}"}, condition, action=action) == expected


@pytest.mark.parametrize(
    ("principal", "condition", "expected"),
    [
        ("cognito-identity.amazonaws.com", None, Caller.ANY_TENANT),
        (
            "cognito-identity.amazonaws.com",
            _equals("cognito-identity.amazonaws.com:aud", "us-east-1:a"),
            Caller.FEDERATED,
        ),
        (f"arn:aws:iam::{ACCOUNT}:saml-provider/a", None, Caller.FEDERATED),
        ("*", None, Caller.EVERYBODY),
    ],
)
def test_other_providers_identify_tenants_differently(
    principal: str, condition: Condition | None, expected: Caller
) -> None:
    actions = ("sts:AssumeRoleWithWebIdentity", "sts:*")

    assert {_callers({"Federated": principal}, condition, action=action) for action in actions} == {expected}


READ_ALL = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::a-bucket/*"}


def test_lost_denial_of_strangers_is_critical() -> None:
    # Given a bucket that everyone may read, except other accounts
    denial = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": _equals("aws:PrincipalAccount", ACCOUNT, operator="StringNotEquals"),
    }

    # When the denial is deleted, once with public access and once with access for our own account only
    open_to_all = found(policy_of_bucket(READ_ALL, denial), policy_of_bucket(READ_ALL))
    own = READ_ALL | {"Principal": {"AWS": ACCOUNT}}
    open_to_own = found(policy_of_bucket(own, denial), policy_of_bucket(own))

    # Then only the public bucket is critical
    assert [finding.severity for finding in open_to_all] == [Severity.CRITICAL]
    assert [finding.severity for finding in open_to_own] == [Severity.HIGH]


def test_new_role_for_one_repository_is_low() -> None:
    # Given a role that one repository may assume
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": f"{HERE}{GITHUB}"},
        "Condition": _subject("repo:owner/name:ref:refs/heads/main"),
    }
    new = {"Role": resource("AWS::IAM::Role", {"AssumeRolePolicyDocument": {"Statement": [trust]}})}

    # When it is added
    (finding,) = found({"Topic": resource("AWS::SNS::Topic")}, {"Topic": resource("AWS::SNS::Topic"), **new})

    # Then it is only reported as added
    assert (finding.kind, finding.severity) == ("access-added", Severity.LOW)


def test_identities_of_our_own_pool_are_no_strangers() -> None:
    # Given a role for the identities of one pool, and one for those of every pool
    pool = {"Pool": resource("AWS::Cognito::IdentityPool", {"AllowUnauthenticatedIdentities": False})}
    condition = {"StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "Pool"}}}
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "cognito-identity.amazonaws.com"},
    }

    def severities(statement: Mapping[str, Any]) -> list[Severity]:
        role = {"Role": resource("AWS::IAM::Role", {"AssumeRolePolicyDocument": {"Statement": [statement]}})}
        return [finding.severity for finding in found(pool, pool | role)]

    # When each is added, then the second is critical
    assert severities(trust | {"Condition": condition}) == [Severity.LOW]
    assert severities(trust) == [Severity.CRITICAL]
