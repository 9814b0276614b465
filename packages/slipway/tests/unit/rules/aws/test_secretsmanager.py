"""Rules about Secrets Manager."""

from __future__ import annotations

from typing import Any

import pytest

from unit.rules.aws.judging import broken


def _permission(**properties: Any) -> dict[str, Any]:
    base = {"Principal": "secretsmanager.amazonaws.com", "FunctionName": {"Fn::GetAtt": ["Function", "Arn"]}}
    return {"Permission": {"Type": "AWS::Lambda::Permission", "Properties": {**base, **properties}}}


def _schedule(function: object) -> dict[str, Any]:
    return {
        "Function": {"Type": "AWS::Lambda::Function"},
        "Live": {"Type": "AWS::Lambda::Alias", "Properties": {"FunctionName": {"Ref": "Function"}}},
        "Rotation": {"Type": "AWS::SecretsManager::RotationSchedule", "Properties": {"RotationLambdaARN": function}},
    }


@pytest.mark.parametrize(
    ("properties", "wrong"),
    [
        ({"SourceAccount": {"Ref": "AWS::AccountId"}}, []),
        ({}, ["Permission"]),
        ({"SourceAccount": "123456789012", "SourceArn": {"Ref": "Secret"}}, ["Permission"]),
        ({"Principal": "sns.amazonaws.com"}, []),
    ],
)
def test_secrets_manager_is_limited_to_the_account(properties: dict[str, Any], wrong: list[str]) -> None:
    assert broken("RotationPermission", _permission(**properties)) == wrong


def test_schedules_name_a_function_with_permission() -> None:
    function = {"Fn::GetAtt": ["Function", "Arn"]}
    allowed = _permission(SourceAccount="123456789012")

    assert broken("RotationFunction", {**_schedule(function), **allowed}) == []
    assert broken("RotationFunction", _schedule(function)) == ["Rotation"]
    assert broken("RotationFunction", {**_schedule({"Ref": "Live"}), **allowed}) == ["Rotation"]
    assert broken("RotationFunction", _schedule({"Ref": "AWS::NoValue"})) == []
