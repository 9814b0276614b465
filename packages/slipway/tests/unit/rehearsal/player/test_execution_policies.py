"""Permissions of an execution role that the emulator does not check: calls without a resource, and passed roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from slipway.emulator.server import Emulator
from slipway.rehearsal.player.execution_policies import ExecutionRole
from unit.rehearsal.aws import DEV, Stack, accounts_in

SCALING = "AWS::ApplicationAutoScaling::ScalableTarget"
FUNCTION = {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}}}


def _refused(folder: Path, may: list[str], **resources: Any) -> list[str]:
    _, behind = accounts_in(folder)
    behind[DEV].formation.stacks["dev-security"] = Stack("CREATE_COMPLETE", outputs={"Role": "arn:aws:iam::1:role/it"})
    role = ExecutionRole(cast("Emulator", behind[DEV]), behind[DEV].role("exec", *may))
    return list(role.refused({"Resources": resources}, "dev-items"))


def _named(arn: Any) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Function", "Properties": {"Role": arn}}


@pytest.mark.parametrize(
    ("may", "refused"),
    [
        (["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"], 0),
        (["cloudwatch:*"], 0),
        (["cloudwatch:PutMetricAlarm"], 1),
        (["cloudwatch:* arn:aws:cloudwatch:us-east-1:111122223333:alarm:*"], 2),
    ],
)
def test_scaling_calls_without_a_name(tmp_path: Path, may: list[str], refused: int) -> None:
    found = _refused(tmp_path, may, Target={"Type": SCALING, "Properties": {}})
    assert len(found) == refused
    assert all("is not authorized to perform: cloudwatch:" in each for each in found)


@pytest.mark.parametrize(("passes", "refused"), [("dev-*", 0), ("*", 0), ("prod-*", 1)])
def test_a_role_of_the_template_is_passed_by_its_name(tmp_path: Path, passes: str, refused: int) -> None:
    may = [f"iam:PassRole arn:aws:iam::{DEV}:role/{passes}"]
    found = _refused(tmp_path, may, Role={"Type": "AWS::IAM::Role"}, Function=FUNCTION)
    assert len(found) == refused
    assert all("iam:PassRole on resource: arn:aws:iam::" in each for each in found)


@pytest.mark.parametrize(("passes", "refused"), [("dev-*", 0), ("prod-*", 1)])
def test_fis_is_passed_the_role_of_an_experiment(tmp_path: Path, passes: str, refused: int) -> None:
    properties = {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "Targets": {"all": {"ResourceArns": ["arn"]}}}
    template = {"Type": "AWS::FIS::ExperimentTemplate", "Properties": properties}
    may = [f"iam:PassRole arn:aws:iam::{DEV}:role/{passes}"]
    assert len(_refused(tmp_path, may, Role={"Type": "AWS::IAM::Role"}, Template=template)) == refused


@pytest.mark.parametrize(
    ("arn", "role"),
    [
        ("arn:aws:iam::1:role/it", "it"),
        ({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::1:role/it"]]}, "it"),
        ({"Fn::GetStackOutput": {"StackName": "dev-security", "OutputName": "Role"}}, "it"),
    ],
)
def test_the_role_is_read_however_it_is_named(tmp_path: Path, arn: Any, role: str) -> None:
    assert _refused(tmp_path, [f"iam:PassRole arn:aws:iam::1:role/{role}"], Function=_named(arn)) == []
    assert len(_refused(tmp_path / "other", ["iam:PassRole arn:aws:iam::1:role/another"], Function=_named(arn))) == 1


@pytest.mark.parametrize("arn", [{"Fn::ImportValue": "x"}, {"Ref": "Parameter"}, {"Fn::GetAtt": ["Nothing", "Arn"]}])
def test_a_role_that_cannot_be_read_is_refused(tmp_path: Path, arn: Any) -> None:
    (found,) = _refused(tmp_path, ["*"], Function=_named(arn))
    assert "cannot determine which role is passed" in found
