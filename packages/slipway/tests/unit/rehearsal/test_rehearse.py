"""The verdict of a rehearsal: where it stopped and why, what was rolled back, and what prod serves."""

from __future__ import annotations

import pytest

from slipway.rehearsal.player.records import PlayedStage, PlayStatus, Rehearsal
from slipway.rehearsal.rehearse import verdict
from unit.rehearsal.recorded import rehearsal

BEFORE = {"prod": {"items": "200; live: ApiFunction 1"}}


def _stopped() -> Rehearsal:
    record = rehearsal(failed=True)
    record.before, record.served = BEFORE, BEFORE
    return record


def test_refused_services_are_counted_in_the_last_line() -> None:
    record = rehearsal()
    record.refusals = ["dev: User: a is not authorized", "dev: User: b is not authorized"]
    assert verdict(record).endswith("to prod in 20 s; 2 calls of AWS's services were refused")


def test_delivery_reports_its_progress_and_duration() -> None:
    assert verdict(rehearsal()) == f"delivered {'c' * 12} to prod in 20 s"


def test_verdict_counts_failed_requests() -> None:
    # Given a successful delivery during which requests to the new version failed
    record = rehearsal()
    stage = record.executions[-1].stages[-1]
    deployment = next(each for action in stage.actions for each in action.deployments)
    deployment.met_new, deployment.failed_new = 30, 3
    # Then the verdict says how many
    assert verdict(record).endswith(f"in 20 s; 3 of 30 requests to the new version failed in {stage.name}")


@pytest.mark.parametrize("record", [rehearsal(), rehearsal(failed=True), Rehearsal("c" * 40, "m", ["items"])])
def test_a_lost_account_is_in_the_verdict(record: Rehearsal) -> None:
    record.lost = ["lost with its account: staging: 222 is lost: the disk is full"]
    assert verdict(record).endswith("; lost with its account: staging: 222 is lost: the disk is full")


def test_a_run_that_was_never_played_is_reported() -> None:
    assert verdict(Rehearsal("c" * 40, "m", ["items"])) == f"{'c' * 12} was not delivered"


def test_a_stopped_execution_has_all_details() -> None:
    assert verdict(_stopped()) == (
        f"{'c' * 12} stopped at prod: d-1: Errors became active in minute 2; "
        "rolled back: ApiFunction to version 1; "
        "6 requests reached the new version, 2 of them failed; "
        "prod still serves items 200; live: ApiFunction 1"
    )


def test_without_a_deployment_the_execution_gives_the_reason() -> None:
    record = _stopped()
    record.executions[-1].stages[1].actions.clear()
    said = verdict(record)
    assert said.startswith(f"{'c' * 12} stopped at prod: prod/compute.Deploy: it failed; prod still serves")
    assert "rolled back" not in said
    assert "requests" not in said


@pytest.mark.parametrize(
    ("served", "said"),
    [
        ({"items": "502"}, "prod now serves items 502"),
        ({}, "prod serves nothing yet"),
        (BEFORE["prod"], "prod still serves items 200; live: ApiFunction 1"),
    ],
)
def test_verdict_compares_what_prod_serves(served: dict[str, str], said: str) -> None:
    record = _stopped()
    record.served = {"prod": served}
    assert verdict(record).endswith(said)


def test_an_interrupted_run_names_no_stage() -> None:
    record = _stopped()
    last = record.executions[-1]
    last.reason, last.stages = "interrupted", [PlayedStage("Source", status=PlayStatus.SUCCEEDED)]
    assert verdict(record).startswith(f"{'c' * 12} stopped: interrupted; prod still serves")
