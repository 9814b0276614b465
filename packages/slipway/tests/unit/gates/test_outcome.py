"""Findings always stop a change; checks that could not run stop it only in the pipeline."""

from __future__ import annotations

from datetime import date

import pytest

from slipway.gates.outcome import Accepted, Finding, Outcome, StepState, in_pipeline


@pytest.mark.parametrize(
    ("outcome", "here", "in_the_pipeline"),
    [
        (Outcome.of([], "looked"), False, False),
        (Outcome.of([Finding("a", "b", "c")], "looked"), True, True),
        (Outcome.not_done("nobody answers"), False, True),
    ],
    ids=lambda value: value.state.value if isinstance(value, Outcome) else None,
)
def test_what_stops_a_change(outcome: Outcome, here: bool, in_the_pipeline: bool) -> None:
    assert (outcome.stops(strict=False), outcome.stops(strict=True)) == (here, in_the_pipeline)


@pytest.mark.parametrize(
    ("environ", "strict"),
    [
        ({}, False),
        ({"CODEBUILD_BUILD_ID": "slipway:1"}, True),
        ({"CODEBUILD_BUILD_ID": "slipway:1", "SLIPWAY_REHEARSAL": "1"}, False),
    ],
)
def test_build_is_strict_and_its_rehearsal_is_not(environ: dict[str, str], strict: bool) -> None:
    assert in_pipeline(environ) is strict


def test_an_outcome_is_plain_data() -> None:
    outcome = Outcome.of(
        [Finding("b", "r", "m"), Finding("a", "r", "m"), Finding("b", "r", "m")],
        "two",
        accepted=[Accepted("c", "r", "because", owner="o", expires=date(2027, 1, 1))],
        notes=["n"],
        scanned=["z", "y", "z"],
    )

    assert outcome.plain() == {
        "state": StepState.FAILED.value,
        "summary": "two",
        "findings": [{"place": "a", "rule": "r", "message": "m"}, {"place": "b", "rule": "r", "message": "m"}],
        "accepted": [{"place": "c", "rule": "r", "reason": "because", "owner": "o", "expires": "2027-01-01"}],
        "notes": ["n"],
        "scanned": ["y", "z"],
    }
