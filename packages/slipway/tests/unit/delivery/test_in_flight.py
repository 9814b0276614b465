"""A pipeline change is refused while an execution deploys, since CodePipeline would cancel the execution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import specimen
from slipway.tasks.in_flight import InFlightError, check

BUILD = {"CODEBUILD_INITIATOR": "codepipeline/delivery"}
ENVIRONMENT = specimen.SETTINGS.environments[-1].name


def _review(folder: Path, *kinds: str, state: str = "reviewed") -> Path:
    file = folder / "review.json"
    file.write_text(json.dumps({"state": state, "findings": [{"kind": kind} for kind in kinds]}))
    return file


def _client(**statuses: str) -> Mock:
    states: list[dict[str, Any]] = [
        {"stageName": name.replace("_", "-"), "latestExecution": {"pipelineExecutionId": "e-1", "status": status}}
        for name, status in statuses.items()
    ]
    return Mock(get_pipeline_state=Mock(return_value={"stageStates": [*states, {"stageName": f"{ENVIRONMENT}-new"}]}))


def _stage(name: str, status: str = "InProgress") -> Mock:
    return _client(**{f"{ENVIRONMENT}_{name}": status})


@pytest.mark.parametrize("state", ["reviewed", "not reviewed"])
def test_a_changed_pipeline_waits_for_a_deployment(tmp_path: Path, state: str) -> None:
    # Given a change that restarts the pipeline, or one for which this is unknown
    kinds = ["pipeline-restarted"] if state == "reviewed" else []
    review = _review(tmp_path, *kinds, state=state)

    # Then it is refused while an environment is being deployed, naming the execution and what to do
    with pytest.raises(
        InFlightError, match=rf"cancel these half-way: {ENVIRONMENT}-services \(execution e-1\).*--name delivery"
    ):
        check(specimen.SETTINGS, review, env=BUILD, client=_stage("services"))


@pytest.mark.parametrize(
    "client",
    [
        pytest.param(_stage("services", "Succeeded"), id="ended"),
        pytest.param(_stage("approval"), id="an approval"),
        pytest.param(_client(Build="InProgress"), id="a build"),
    ],
)
def test_change_is_accepted_when_nothing_deploys(tmp_path: Path, client: Mock) -> None:
    said = check(specimen.SETTINGS, _review(tmp_path, "pipeline-restarted"), env=BUILD, client=client)
    assert said == "this change restarts the pipeline, and no stage deploys"


@pytest.mark.parametrize("state", ["reviewed", "first delivery"])
def test_other_changes_are_accepted(tmp_path: Path, state: str) -> None:
    client = _stage("services")
    said = check(specimen.SETTINGS, _review(tmp_path, "renamed", state=state), env=BUILD, client=client)
    assert said == "the pipeline does not change: no running execution is canceled"
    client.get_pipeline_state.assert_not_called()


def test_outside_the_build_nothing_is_checked(tmp_path: Path) -> None:
    client = _stage("services")
    assert check(specimen.SETTINGS, tmp_path / "none", env={}, client=client).startswith("not the pipeline's build")
    client.get_pipeline_state.assert_not_called()


def test_a_missing_review_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InFlightError, match=r"cannot be read .*: run `make review` first"):
        check(specimen.SETTINGS, tmp_path / "none", env=BUILD, client=_stage("services"))
