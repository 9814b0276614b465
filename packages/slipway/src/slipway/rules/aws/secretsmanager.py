"""Rules on Secrets Manager: its calls of rotation functions."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.aws.functions import ALIAS, VERSION, functions
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Templates

_PERMISSIONS = (
    "https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-required-permissions-function.html"
)
_SERVICE = "secretsmanager.amazonaws.com"


def _undocumented_permission(templates: Templates) -> Iterator[Found]:
    for permission in templates.of_type("AWS::Lambda::Permission"):
        if permission.get("Principal") == _SERVICE and (
            permission.get("SourceAccount") is None or permission.get("SourceArn") is not None
        ):
            yield Found(permission.stack, permission.logical_id)


def _undocumented_target(templates: Templates) -> Iterator[Found]:
    allowed = {
        function
        for permission in templates.of_type("AWS::Lambda::Permission")
        if permission.get("Principal") == _SERVICE
        for function in functions(templates, permission.stack, permission.get("FunctionName"))
    }
    for schedule in templates.of_type("AWS::SecretsManager::RotationSchedule"):
        value = schedule.get("RotationLambdaARN")
        if value is None:
            continue
        targets = {found.type for found in templates.referred(schedule.stack, value)}
        called = set(functions(templates, schedule.stack, value))
        if targets & {ALIAS, VERSION} or (called and not called & allowed):
            yield Found(schedule.stack, schedule.logical_id)


RULES = (
    AwsRule(
        name="RotationPermission",
        does="Secrets Manager documents a permission on aws:SourceAccount for its call of a rotation function; reports "
        "on a condition on the secret's ARN contradict each other.",
        says="A permission for Secrets Manager has no SourceAccount, so any account may call, or has a SourceArn, "
        "with which rotation may fail silently.",
        fix="Give the permission SourceAccount, and no SourceArn.",
        source=_PERMISSIONS,
        check=_undocumented_permission,
        planted={
            "Permission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "Action": "lambda:InvokeFunction",
                    "FunctionName": "rotate",
                    "Principal": _SERVICE,
                    "SourceAccount": {"Ref": "AWS::AccountId"},
                    "SourceArn": {"Ref": "Secret"},
                },
            }
        },
    ),
    AwsRule(
        name="RotationFunction",
        does="A rotation schedule calls its function when it is created, and its creation fails if Secrets Manager "
        "may not invoke it; AWS documents the ARN of a function there, not of an alias.",
        says="A rotation schedule names an alias or a version, or a function that Secrets Manager has no permission "
        "for.",
        fix="Name the function itself, with an AWS::Lambda::Permission for secretsmanager.amazonaws.com.",
        source=_PERMISSIONS,
        check=_undocumented_target,
        planted={
            "Function": {"Type": "AWS::Lambda::Function"},
            "Live": {"Type": ALIAS, "Properties": {"FunctionName": {"Ref": "Function"}, "Name": "live"}},
            "Rotation": {
                "Type": "AWS::SecretsManager::RotationSchedule",
                "Properties": {"RotationLambdaARN": {"Ref": "Live"}},
            },
        },
    ),
)
