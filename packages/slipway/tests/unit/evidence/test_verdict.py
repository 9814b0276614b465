"""Evidence is green only if every part is present, green, and was made for this assembly."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from slipway.evidence.collect import Evidence
from slipway.evidence.verdict import Part, PartState
from unit.evidence.repository import ASSEMBLED, PIPELINE, Repository, review, step, supply
from unit.gates.assembly import DATA

Plant = Callable[[Repository], object]


def part(evidence: Evidence, anchor: str) -> Part:
    return next(part for part in evidence.parts if part.anchor == anchor)


def states(evidence: Evidence) -> dict[str, PartState]:
    return {part.anchor: part.state for part in evidence.parts if part.state is not PartState.GREEN}


def test_evidence_is_green_when_every_part_is(repository: Repository) -> None:
    evidence = repository.collect()

    assert not states(evidence)
    assert evidence.state is PartState.GREEN
    assert evidence.headline == "evidence green: all 7 parts are present and green"


def finding(repository: Repository) -> None:
    repository.assembly.violate("AwsSolutions-S1", f"{DATA}/Bucket")
    repository.assemble()


def no_assembly(repository: Repository) -> None:
    shutil.rmtree(repository.root / "cdk.out")


def no_validation_report(repository: Repository) -> None:
    (repository.root / "cdk.out" / "validation-report.json").unlink()


def a_review(**changed: Any) -> Plant:
    return lambda repository: repository.write_json("build/report/review.json", review(**changed))


def a_supply(*steps: dict[str, Any], **changed: Any) -> Plant:
    return lambda repository: repository.write_json("build/report/supply.json", supply(*steps, **changed))


def without(path: str) -> Plant:
    return lambda repository: (repository.root / path).unlink()


def damaged(path: str) -> Plant:
    return lambda repository: repository.write(path, '{"format": 1, "verdict": ')


def outdated(path: str) -> Plant:
    return lambda repository: os.utime(repository.root / path, (ASSEMBLED - 1, ASSEMBLED - 1))


def edited(path: str, old: str, new: str) -> Plant:
    return lambda repository: repository.edit(path, old, new)


def pipelines(number: int) -> Plant:
    def plant(repository: Repository) -> None:
        resources = {f"Pipeline{place}": PIPELINE for place in range(number)}
        repository.write_json("cdk.out/Pipeline.template.json", {"Resources": resources})
        repository.assemble()

    return plant


FAILED = step(state="failed", findings=[{"place": "app.py:1", "rule": "aws-key", "message": "a key"}])
NOT_DONE = step(state="not done", summary="not done: nobody answers")

CRITICAL: dict[str, Any] = {
    "id": "table-replaced:Table",
    "severity": "critical",
    "stage": "prod-items",
    "stack": "prod-items-data",
    "resource": "Data/Table",
    "what": "the table is replaced",
    "details": [],
    "why": "its data is lost",
    "do": "keep the name",
    "waiver": None,
}

PLANTED: dict[str, tuple[Plant, str, PartState, str]] = {
    "a finding of the nag gate": (finding, "nag", PartState.RED, "unacknowledged findings: 1"),
    "no report of the packs": (no_validation_report, "nag", PartState.RED, "is missing"),
    "a red review": (
        a_review(verdict="red", faults=["waiver: it is stale"]),
        "review",
        PartState.RED,
        "waiver: it is stale",
    ),
    "a critical finding in a review that calls itself green": (
        a_review(findings=[CRITICAL]),
        "review",
        PartState.RED,
        "critical and not waived: the table is replaced (Data/Table)",
    ),
    "a review that was not made": (
        a_review(verdict="not made", state="not reviewed", faults=[], notes=["there is no history"]),
        "review",
        PartState.INCOMPLETE,
        "there is no history",
    ),
    "no review": (
        without("build/report/review.json"),
        "review",
        PartState.INCOMPLETE,
        "review.json is missing: run `make review`",
    ),
    "a review of another assembly": (
        outdated("build/report/review.json"),
        "review",
        PartState.INCOMPLETE,
        "review.json is older than the assembly",
    ),
    "a damaged review": (damaged("build/report/review.json"), "review", PartState.RED, "review.json is damaged"),
    "a review of another format": (a_review(format=2), "review", PartState.RED, "review.json is damaged (format:"),
    "a scanner that found something": (a_supply(FAILED, verdict="red"), "supply", PartState.RED, "secrets failed"),
    "a failed scanner in a report that calls itself green": (
        a_supply(FAILED),
        "supply",
        PartState.RED,
        "secrets failed",
    ),
    "a scanner that could not look": (
        a_supply(step(name="sast"), NOT_DONE, not_done=["secrets"]),
        "supply",
        PartState.INCOMPLETE,
        "secrets was not run: nobody answers",
    ),
    "the same in the pipeline": (
        a_supply(NOT_DONE, verdict="red", not_done=["secrets"]),
        "supply",
        PartState.RED,
        "secrets was not run",
    ),
    "a supply chain without a scanner": (
        lambda repository: repository.write_json("build/report/supply.json", supply() | {"steps": []}),
        "supply",
        PartState.RED,
        "supply.json is damaged (steps:",
    ),
    "no supply chain": (
        without("build/report/supply.json"),
        "supply",
        PartState.INCOMPLETE,
        "supply.json is missing: run `make gates`",
    ),
    "a supply chain of another assembly": (
        outdated("build/report/supply.json"),
        "supply",
        PartState.INCOMPLETE,
        "supply.json is older than the assembly",
    ),
    "a damaged supply chain": (damaged("build/report/supply.json"), "supply", PartState.RED, "supply.json is damaged"),
    "no pipeline": (pipelines(0), "pipeline", PartState.RED, "contains 0 pipelines, not one"),
    "two pipelines": (pipelines(2), "pipeline", PartState.RED, "contains 2 pipelines, not one"),
    "a test of nothing that is required": (
        edited("docs/requirements.toml", '"its own KMS key"', '"another"'),
        "requirements",
        PartState.RED,
        "tests/unit/test_key.py::test_it_rotates is marked for 'its own KMS key', which is not a requirement",
    ),
    "a requirement without a test": (
        edited("tests/unit/test_key.py", '@pytest.mark.requirement("its own KMS key")\n', ""),
        "requirements",
        PartState.RED,
        "no test shows: its own KMS key",
    ),
    "a claim whose code is not there": (
        without("blocks/key.py"),
        "checklist-1",
        PartState.RED,
        "Unit Tests: blocks/key.py does not exist",
    ),
    "a claim whose symbol is not there": (
        edited("blocks/key.py", "rotate", "turn"),
        "checklist-2",
        PartState.RED,
        "Unit Tests: blocks/key.py has no Key.rotate",
    ),
}


@pytest.mark.requirement("the report on the terminal and as a page")
@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_not_green_is_named(repository: Repository, planted: str) -> None:
    # Given one fault
    plant, anchor, state, said = PLANTED[planted]
    plant(repository)

    # When the evidence is collected
    evidence = repository.collect()

    # Then it has that part's state, and the part gives the reason in one line
    found = part(evidence, anchor)
    assert found.state is state
    assert evidence.state is max(states(evidence).values(), key=list(PartState).index)
    assert any(said in line for line in found.problems)
    assert all("\n" not in line for line in found.problems)
    assert found.title in evidence.headline


@pytest.mark.parametrize("planted", PLANTED)
def test_it_is_green_again_once_fixed(repository: Repository, planted: str) -> None:
    # Given a fault that was fixed
    plant, *_ = PLANTED[planted]
    whole = {path: path.read_bytes() for path in repository.root.rglob("*") if path.is_file()}
    plant(repository)
    for path, content in whole.items():
        path.write_bytes(content)
    for path in (repository.root / "cdk.out").rglob("*.json"):
        os.utime(path, (ASSEMBLED, ASSEMBLED))

    assert repository.collect().state is PartState.GREEN


def test_nothing_is_green_without_an_assembly(repository: Repository) -> None:
    # Given reports without the assembly that they describe
    no_assembly(repository)

    evidence = repository.collect()

    assert states(evidence) == dict.fromkeys(("nag", "review", "supply", "pipeline"), PartState.INCOMPLETE)
    assert "run `make synth`" in part(evidence, "nag").problems[0]


def test_a_waived_finding_stops_nothing(repository: Repository) -> None:
    waiver = {"reason": "It is empty and nobody uses it.", "owner": "platform", "expires": "2027-02-01"}
    a_review(findings=[CRITICAL | {"waiver": waiver}])(repository)

    assert repository.collect().state is PartState.GREEN


def test_red_counts_more_than_incomplete(repository: Repository) -> None:
    a_review(verdict="red")(repository)
    without("build/report/supply.json")(repository)

    evidence = repository.collect()

    assert evidence.state is PartState.RED
    assert evidence.headline == "evidence RED: Change review red, Supply chain incomplete"


def test_findings_with_one_reason_share_a_row(repository: Repository) -> None:
    repository.accept()

    (stage,) = [stage for stage in repository.collect().stages if stage.accepted]

    (row,) = stage.accepted
    assert stage.name == "dev-items"
    assert stage.acknowledged == 2
    assert (row.rule, row.owner, str(row.expires), row.at) == (
        "AwsSolutions-S1",
        "platform",
        "2027-06-30",
        "blocks/bucket.py:70",
    )
    assert [path for path, _ in row.findings] == [f"{DATA}/Bucket", f"{DATA}/Other"]


def test_stages_come_in_the_order_of_the_pipeline(repository: Repository) -> None:
    assert [stage.name for stage in repository.collect().stages] == ["Pipeline", "dev-items"]


def test_a_report_may_say_more_than_the_page_shows(repository: Repository) -> None:
    # Given a report with a field that this page does not know
    content = json.loads((repository.report / "review.json").read_text(encoding="utf-8"))
    repository.write_json("build/report/review.json", content | {"code": {"functions": 3}})

    assert repository.collect().state is PartState.GREEN
