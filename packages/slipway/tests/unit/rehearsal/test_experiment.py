"""How an AWS FIS experiment judges a service, and that no experiment is left running."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from botocore.exceptions import ClientError

from slipway.emulator.routes import Route
from slipway.resilience.experiment import ExperimentRun, as_junit, started
from slipway.resilience.function_faults import FAILING_API, FAILING_READERS, FUNCTION_FAULTS, SLOW_FUNCTIONS
from slipway.resilience.probe import ProbeAnswer

ROUTE = Route("GET", "/things", signed=False)
QUICK, LATE = ProbeAnswer(ROUTE, 200, 0.1), ProbeAnswer(ROUTE, 200, 1.2)
ENDED: dict[str, Any] = {"name": "EXP1", "status": "completed", "delay_seconds": 1.0}


class Fis:
    """FIS with one experiment."""

    def __init__(self, *states: str, refuses: bool = False) -> None:
        self.states, self.stopped, self.refuses = list(states), False, refuses

    def start_experiment(self, **asked: str) -> dict[str, Any]:
        assert asked["experimentTemplateId"] == "EXT1"
        return {"experiment": {"id": "EXP1"}}

    def get_experiment(self, id: str) -> dict[str, Any]:  # noqa: A002  # as the API calls it
        assert id == "EXP1"
        return {"experiment": {"state": {"status": self.states.pop(0)}}}

    def stop_experiment(self, id: str) -> None:  # noqa: A002  # as above
        assert id == "EXP1"
        self.stopped = True
        if self.refuses:
            raise ClientError({"Error": {"Code": "ValidationException"}}, "StopExperiment")


@pytest.mark.parametrize(("status", "stops"), [("running", True), ("initiating", True), ("completed", False)])
def test_an_experiment_is_not_left_running(status: str, stops: bool) -> None:
    fis = Fis(status)
    with pytest.raises(KeyboardInterrupt), started(fis, "EXT1"):
        raise KeyboardInterrupt
    assert fis.stopped is stops


def test_an_experiment_may_end_while_it_is_stopped() -> None:
    with started(Fis("running", "completed", refuses=True), "EXT1"):
        pass
    with pytest.raises(ClientError), started(Fis("running", "running", refuses=True), "EXT1"):
        pass


def test_a_stopped_experiment_is_a_failure() -> None:
    run = ExperimentRun("things", SLOW_FUNCTIONS, status="stopped", reason="alarm:loud", answers=[LATE])
    assert run.faults == ["the experiment is stopped: alarm:loud"]


@pytest.mark.parametrize(
    ("run", "faults", "felt"),
    [
        (ExperimentRun("things", SLOW_FUNCTIONS, **ENDED, answers=[QUICK, LATE]), 0, True),
        # Nobody noticed: the extension is missing, or does not read the fault
        (ExperimentRun("things", SLOW_FUNCTIONS, **ENDED, answers=[QUICK]), 1, False),
        (ExperimentRun("things", SLOW_FUNCTIONS, **ENDED), 0, False),
        # With few invocations, by chance none fails
        (ExperimentRun("things", FAILING_API, **ENDED, answers=[QUICK], failed_invocations=0), 0, False),
        (ExperimentRun("things", FAILING_READERS, **ENDED, answers=[QUICK], failed_invocations=3), 0, True),
        (ExperimentRun("things", FAILING_API, **ENDED, answers=[QUICK], failed_invocations=1, broken=("b",)), 1, True),
        (ExperimentRun("things", FAILING_API, **ENDED, failed_invocations=1, unrecovered="u"), 1, True),
    ],
)
def test_experiment_is_judged_by_answers_and_failures(run: ExperimentRun, faults: int, felt: bool) -> None:
    assert (len(run.faults), run.felt) == (faults, felt)
    case = ET.fromstring(as_junit("things", [run])).find("testcase")  # noqa: S314  # nosec B314  # our own
    assert case is not None
    assert (case.find("failure") is not None) is bool(faults)
    assert (case.find("skipped") is not None) is (not faults and not felt)
    assert ("degrades as it promises" in str(run)) is (not faults and felt)
    assert run.plain()["met_invocations"] is felt


def test_each_experiment_has_its_own_output() -> None:
    assert {fault.output for fault in FUNCTION_FAULTS} == {
        "SlowFunctionsExperiment",
        "FailingReadersExperiment",
        "FailingApiExperiment",
    }
