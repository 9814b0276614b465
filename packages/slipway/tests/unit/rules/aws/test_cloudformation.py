"""Rules about resources that outlive their stack."""

from __future__ import annotations

from typing import Any

import pytest

from unit.rules.aws.judging import broken

STACK_ID = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}


def _group(name: Any, policy: str = "RetainExceptOnCreate") -> dict[str, Any]:
    properties = {} if name is None else {"LogGroupName": name}
    return {"Log": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": policy, "Properties": properties}}


@pytest.mark.requirement("a deleted stack's log group that blocks the next deployment")
@pytest.mark.parametrize(
    "name",
    [
        "aws-waf-logs-prod",
        {"Fn::Join": ["-", ["logs", {"Ref": "AWS::Region"}]]},
        {"Fn::Sub": "logs-${AWS::StackName}"},
        {"Fn::Sub": ["logs-${place}", {"place": {"Ref": "AWS::AccountId"}}]},
    ],
)
def test_nothing_is_retained_under_a_fixed_name(name: Any) -> None:
    assert broken("NothingRetainedInTheWay", _group(name)) == ["Log"]
    assert broken("NothingRetainedInTheWay", _group(name, "Retain")) == ["Log"]
    assert broken("NothingRetainedInTheWay", _group(name, "Delete")) == []


@pytest.mark.parametrize(
    "name",
    [
        None,
        {"Fn::Join": ["-", ["aws-waf-logs-prod", STACK_ID]]},
        {"Fn::Sub": "API-Gateway-Execution-Logs_${Api}/live"},
        {"Fn::GetAtt": ["Api", "Name"]},
    ],
)
def test_a_generated_name_causes_no_conflict(name: Any) -> None:
    assert broken("NothingRetainedInTheWay", _group(name)) == []


def test_a_parameter_is_the_same_each_time() -> None:
    template = {"Parameters": {"Name": {"Type": "String"}}, "Resources": _group({"Ref": "Name"})}

    assert broken("NothingRetainedInTheWay", template) == ["Log"]


def test_resources_with_data_keep_their_name() -> None:
    table = {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "Retain", "Properties": {"TableName": "orders"}}

    assert broken("NothingRetainedInTheWay", {"Table": table}) == []
