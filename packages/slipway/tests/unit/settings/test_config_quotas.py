"""How many builds of a compute type a pipeline can have running at once."""

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


def test_stages_hold_an_execution_each() -> None:
    small, medium = {"Ref": "Small"}, {"Ref": "Medium"}
    stages = _template([_build("a", medium)], [_build("b", small, 1), _build("c", small, 2)], [_build("d", small)])
    assert builds_at_once(stages) == {
        SMALL: Builds(of_one_execution=1, of_all=2),
        MEDIUM: Builds(of_one_execution=1, of_all=1),
    }


def test_actions_of_other_kinds_are_no_builds() -> None:
    approval = {"Name": "Approve", "ActionTypeId": {"Provider": "Manual"}, "Configuration": {}}
    assert builds_at_once(_template([approval])) == {}


@pytest.mark.parametrize("project", ["by-name", {"Ref": "Elsewhere"}])
def test_unknown_projects_are_not_passed_over(project: Any) -> None:
    with pytest.raises(LookupError, match="a: project"):
        builds_at_once(_template([_build("a", project)]))
