"""The records of a rehearsal, as data."""

from __future__ import annotations

import json

import pytest

from slipway.rehearsal.player import records
from slipway.rehearsal.player.records import (
    Execution,
    PlayedAction,
    PlayedChange,
    PlayedCondition,
    PlayedDeployment,
    PlayedMinute,
    PlayedStage,
    PlayStatus,
    Rehearsal,
)


def test_everything_is_json_and_round_trips() -> None:
    # Given a run with everything that a record can contain
    deployment = PlayedDeployment("d-1", "f", "live", "1", "2", "CodeDeployDefault.LambdaAllAtOnce")
    deployment.minutes.append(PlayedMinute(1, 0.1, 9, 1, 0, 1, 12.5, {"Errors": "ALARM"}))
    action = PlayedAction(
        "a", "CloudFormation", "dev", 1, changes=[PlayedChange("L", "T", "Add")], deployments=[deployment]
    )
    action.tests = records.Tests(2, 1, 0, ["t::a"])
    stage = PlayedStage(
        "dev", conditions=[PlayedCondition("OnSuccess", "Bake", PlayStatus.FAILED, "it rang")], actions=[action]
    )
    execution = Execution("e", "c" * 40, "m", 3, "2026-11-20T15:00:00+00:00", stages=[stage])
    record = Rehearsal("c" * 40, "m ä", ["items"], executions=[execution])
    # When it is written and read
    found = json.loads(json.dumps(record.as_dict()))
    # Then everything is there, with CodePipeline's names of statuses
    assert found["executions"][0]["stages"][0]["conditions"][0]["status"] == "Failed"
    (made,) = found["executions"][0]["stages"][0]["actions"]
    assert made["deployments"][0]["minutes"][0]["alarms"] == {"Errors": "ALARM"}
    assert (made["tests"]["failed"], made["changes"][0]["action"]) == (["t::a"], "Add")
    assert (found["message"], found["delivered"], made["status"]) == ("m ä", False, "InProgress")


@pytest.mark.parametrize(
    ("function", "short"),
    [
        ("prod-items-compute-ApiFunction0123ABCD-x1Y2z3", "ApiFunction"),
        ("dev-us-items-compute-StreamFunction89ABCDEF", "StreamFunction"),
        ("items", "items"),
    ],
)
def test_short_names_are_shown_without_generated_parts(function: str, short: str) -> None:
    assert records.short_name(function) == short
