"""The page reads the reports that the other gates write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.evidence.reports import Read, Review, Supply, load_report
from slipway.evidence.verdict import PartState, review_part, supply_part
from slipway.gates.exports import as_json
from slipway.gates.outcome import Outcome as SupplyOutcome
from slipway.review.exports import write_json
from slipway.review.outcome import ReviewOutcome
from slipway.supply.shipped import Zip
from unit.gates.outcomes import ACCEPTED, GREEN, OPEN, RED, ended
from unit.review.outcomes import ALLOWED, FIRST, GONE, REFUSED, outcome
from unit.review.waivers import waiver


@pytest.mark.parametrize(
    ("written", "state", "said"),
    [
        (outcome(), PartState.RED, "critical and not waived: "),
        (outcome(waiver(GONE)), PartState.GREEN, ""),
        (outcome(changed=False), PartState.GREEN, ""),
        (FIRST, PartState.GREEN, ""),
        (REFUSED, PartState.RED, "x is not a revision of this repository"),
        (ALLOWED, PartState.INCOMPLETE, "the source is S3"),
    ],
)
def test_a_review_is_read_as_it_was_written(
    tmp_path: Path, written: ReviewOutcome, state: PartState, said: str
) -> None:
    path = tmp_path / "review.json"
    write_json(written, path)

    report = load_report(path, Review, verb="make review", since=0)

    part = review_part(report)
    assert report.read is Read.WHOLE
    assert part.state is state
    assert any(said in line for line in part.problems) if said else not part.problems
    assert report.content
    assert len(report.content.findings) == len(written.comparison.findings)
    assert [stage.name for stage in report.content.stages] == [stage.name for stage in written.comparison.stages]


@pytest.mark.parametrize(
    ("steps", "strict", "state", "said"),
    [
        ({"sast": GREEN, "sbom": ACCEPTED}, False, PartState.GREEN, ""),
        ({"sast": RED, "audit": GREEN}, False, PartState.RED, "sast failed"),
        ({"sast": GREEN, "audit": OPEN}, False, PartState.INCOMPLETE, "audit was not run: nobody answers"),
        ({"sast": GREEN, "audit": OPEN}, True, PartState.RED, "audit was not run: nobody answers"),
    ],
)
def test_a_supply_chain_is_read_as_it_was_written(
    tmp_path: Path, steps: dict[str, SupplyOutcome], strict: bool, state: PartState, said: str
) -> None:
    path = tmp_path / "supply.json"
    zips = [Zip("layer", "ab", 12, ships=True)]
    path.write_text(json.dumps(as_json(ended(**steps), zips, strict=strict)), encoding="utf-8")

    report = load_report(path, Supply, verb="make gates", since=0)

    part = supply_part(report)
    assert report.read is Read.WHOLE
    assert part.state is state
    assert any(said in line for line in part.problems) if said else not part.problems
    assert report.content
    assert [step.name for step in report.content.steps] == list(steps)
    assert [zip_.name for zip_ in report.content.zips] == ["layer.zip"]
