"""A role is followed to everything that acts with it, and escalation to every action that allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from slipway.review.findings import ChangeFinding, Severity
from slipway.review.iam.reference import escalates, escalating_actions
from unit.review.assemblies import ACCOUNT, STRANGER, found, resource
from unit.review.planted import allow, role

OURS = f"arn:aws:iam::{ACCOUNT}:role/ours"
THEIRS = f"arn:aws:iam::{ACCOUNT}:role/another"
FOREIGN = f"arn:aws:iam::{STRANGER}:role/theirs"

ACTING: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "a function": ("AWS::Lambda::Function", lambda arn: {"Role": arn}),
    "a build": ("AWS::CodeBuild::Project", lambda arn: {"ServiceRole": arn}),
    "a state machine": ("AWS::StepFunctions::StateMachine", lambda arn: {"RoleArn": arn}),
    "an action of a pipeline": (
        "AWS::CodePipeline::Pipeline",
        lambda arn: {"Stages": [{"Name": "prod", "Actions": [{"Name": "Deploy", "RoleArn": arn}]}]},
    ),
    "a stack that an action deploys": (
        "AWS::CodePipeline::Pipeline",
        lambda arn: {"Stages": [{"Name": "prod", "Actions": [{"Name": "Deploy", "Configuration": {"RoleArn": arn}}]}]},
    ),
    "a target of a rule": ("AWS::Events::Rule", lambda arn: {"Targets": [{"Id": "a", "Arn": "b", "RoleArn": arn}]}),
    "an integration": ("AWS::ApiGateway::Method", lambda arn: {"Integration": {"Credentials": arn}}),
    "a guest of an identity pool": (
        "AWS::Cognito::IdentityPoolRoleAttachment",
        lambda arn: {"IdentityPoolId": "a", "Roles": {"unauthenticated": arn}},
    ),
}


def _roles(before: Any, after: Any) -> list[ChangeFinding]:
    return found({"Acts": before}, {"Acts": after}, "other-role")


@pytest.mark.parametrize("who", ACTING)
def test_an_unreadable_role_is_reported(who: str) -> None:
    # Given something that acts with a role, when it gets one that is not in the assembly
    kind, properties = ACTING[who]
    (finding,) = _roles(resource(kind, properties(OURS)), resource(kind, properties(THEIRS)))

    # Then it is reported, and another account's role is critical
    assert finding.severity == Severity.HIGH
    (finding,) = _roles(resource(kind, properties(OURS)), resource(kind, properties(FOREIGN)))
    assert finding.severity == Severity.CRITICAL


@pytest.mark.parametrize("who", ACTING)
def test_same_role_is_no_finding(who: str) -> None:
    kind, properties = ACTING[who]

    assert not _roles(
        resource(kind, {**properties(OURS), "Description": "a"}),
        resource(kind, {**properties(OURS), "Description": "b"}),
    )


def test_role_deleted_in_favour_of_another_is_reported() -> None:
    action = {"Name": "Deploy", "RoleArn": OURS}
    pipelines = [
        resource("AWS::CodePipeline::Pipeline", {"Stages": [{"Name": "prod", "Actions": [one]}]})
        for one in (action, {"Name": "Deploy"})
    ]

    assert _roles(*pipelines)


@pytest.mark.parametrize(
    "action",
    [
        "iam:DeleteUserPermissionsBoundary",
        "iam:PutUserPermissionsBoundary",
        "iam:CreateServiceSpecificCredential",
        "iam:UpdateAccessKey",
        "iam:AddRoleToInstanceProfile",
        "iam:UpdateSAMLProvider",
        "sts:AssumeRoleWithWebIdentity",
        "sts:AssumeRoot",
        "organizations:AttachPolicy",
        "iam:Pas?Role",
        "iam:?assRole",
    ],
)
def test_equivalent_of_an_escalating_action_is_critical(action: str) -> None:
    (finding,) = found(role(allow("s3:GetObject")), role(allow(action, "*")), "access-widened")

    assert finding.severity == Severity.CRITICAL


@pytest.mark.parametrize(
    "resource_pattern", ["*", f"arn:aws:iam::{ACCOUNT}:role/*", f"arn:aws:iam::{ACCOUNT}:role/????"]
)
def test_role_passed_by_a_pattern_is_critical(resource_pattern: str) -> None:
    (finding,) = found(role(allow("s3:GetObject")), role(allow("iam:PassRole", resource_pattern)), "access-widened")

    assert finding.severity == Severity.CRITICAL


def test_one_role_passed_is_not_critical() -> None:
    (finding,) = found(role(allow("s3:GetObject")), role(allow("iam:PassRole", OURS)), "access-widened")

    assert finding.severity == Severity.HIGH


@pytest.mark.parametrize(
    ("service", "name", "level", "types", "expected"),
    [
        ("iam", "PutRolePolicy", "Permissions management, Write", ["role"], True),
        ("iam", "PassRole", "Write", ["role"], True),
        ("iam", "CreateAccessKey", "Write", ["user"], True),
        # An identity alone has no permissions
        ("iam", "CreateRole", "Write", ["role"], False),
        ("iam", "UpdateRoleDescription", "Write", ["role"], False),
        ("iam", "DeleteAccessKey", "Write", ["user"], False),
        ("iam", "TagRole", "Tagging, Write", ["role"], False),
        ("iam", "GetRole", "Read", ["role"], False),
        ("kms", "CreateGrant", "Permissions management, Write", ["key"], True),
        ("kms", "Decrypt", "Write", ["key"], False),
        ("organizations", "MoveAccount", "Write", ["account"], True),
    ],
)
def test_the_reference_decides_about_escalation(
    service: str,
    name: str,
    level: str,
    types: list[str],
    expected: bool,
) -> None:
    entry = {"name": name, "accessLevel": level, "description": "", "resourceTypes": [{"name": one} for one in types]}

    assert escalates(service, entry) is expected
    assert (f"{service}:{name}".lower() in escalating_actions()) is expected
