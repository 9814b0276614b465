"""The number of builds of a compute type that a pipeline may run at the same time."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.settings.quotas import MEDIUM, SMALL, Builds, ComputeType, builds_at_once


def _build(name: str, project: Any, order: int | None = None) -> dict[str, Any]:
    action = {"Name": name, "ActionTypeId": {"Provider": "CodeBuild"}, "Configuration": {"ProjectName": project}}
    return action if order is None else {**action, "RunOrder": order}


def _project(compute_type: ComputeType) -> dict[str, Any]:
    environment = {"Type": compute_type.environment, "ComputeType": compute_type.size}
    return {"Type": "AWS::CodeBuild::Project", "Properties": {"Environment": environment}}


def _template(*stages: list[dict[str, Any]]) -> dict[str, Any]:
    pipeline = {
        "Type": "AWS::CodePipeline::Pipeline",
        "Properties": {"Stages": [{"Name": str(index), "Actions": stage} for index, stage in enumerate(stages)]},
    }
    return {"Resources": {"Pipeline": pipeline, "Small": _project(SMALL), "Medium": _project(MEDIUM)}}


def test_builds_of_one_run_order_run_side_by_side() -> None:
    small = {"Ref": "Small"}
    beside = _template([_build("a", small, 2), _build("b", small, 2), _build("c", small, 3)])
    assert builds_at_once(beside) == {SMALL: Builds(of_one_execution=2, of_all=2)}


def test_each_stage_may_run_its_own_execution() -> None:
    small, medium = {"Ref": "Small"}, {"Ref": "Medium"}
    stages = _template([_build("a", medium)], [_build("b", small, 1), _build("c", small, 2)], [_build("d", small)])
    assert builds_at_once(stages) == {
        SMALL: Builds(of_one_execution=1, of_all=2),
        MEDIUM: Builds(of_one_execution=1, of_all=1),
    }


def test_other_actions_are_not_counted_as_builds() -> None:
    approval = {"Name": "Approve", "ActionTypeId": {"Provider": "Manual"}, "Configuration": {}}
    assert builds_at_once(_template([approval])) == {}


@pytest.mark.parametrize("project", ["by-name", {"Ref": "Elsewhere"}])
def test_unknown_projects_are_reported(project: Any) -> None:
    with pytest.raises(LookupError, match="a: project"):
        builds_at_once(_template([_build("a", project)]))
