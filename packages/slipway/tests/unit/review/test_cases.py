"""Template pairs taken from public reports, with the expected findings and severities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.review.assembly import Assembly, ReviewedStack
from slipway.review.comparison import compare
from slipway.review.findings import KINDS, ChangeFinding, Severity
from unit.review.assemblies import ACCOUNT, TOOLS, assembly, stack

CASES = sorted(Path(__file__).with_name("cases").glob("*.json"))

Case = Mapping[str, Any]


def _read(path: Path) -> Case:
    case: Case = json.loads(path.read_text(encoding="utf-8"))
    return case


def _assembly(stacks: Mapping[str, Any]) -> Assembly:
    return assembly(*(_stack(name, content) for name, content in stacks.items()), *_elsewhere(stacks))


def _stack(name: str, content: Mapping[str, Any]) -> ReviewedStack:
    is_template = "Resources" in content and "Type" not in content["Resources"]
    sections = dict(content) if is_template else {"Resources": content}
    resources = sections.pop("Resources")
    if name.startswith("slipway-"):
        return stack(resources, name=name, stage="pipeline", account=TOOLS, **sections)
    return stack(resources, name=name, account=ACCOUNT, **sections)


def _elsewhere(stacks: Mapping[str, Any]) -> list[ReviewedStack]:
    """Return unchanged stacks, so that both accounts are among those deployed to."""
    topic = {"Topic": {"Type": "AWS::SNS::Topic"}}
    return [
        stack(topic, name=f"unchanged-{account}", account=account)
        for account, has_one in (
            (TOOLS, any(name.startswith("slipway-") for name in stacks)),
            (ACCOUNT, any(not name.startswith("slipway-") for name in stacks)),
        )
        if not has_one
    ]


def _is_expected(finding: ChangeFinding, row: Mapping[str, Any]) -> bool:
    least, most = Severity(row.get("least", Severity.INFO)), Severity(row.get("most", Severity.CRITICAL))
    return finding.kind in row.get("kinds", KINDS) and most.rank <= finding.severity.rank <= least.rank


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_change_of_a_public_report_is_judged(path: Path) -> None:
    # Given a pair of templates from a public report
    case = _read(path)

    # When the change is reviewed
    findings = compare(_assembly(case["before"]), _assembly(case["after"])).findings

    # Then each expected finding exists, within its severity bounds
    seen = [f"{finding.severity} {finding.id}: {finding.what}" for finding in findings]
    for row in case["findings"]:
        assert any(_is_expected(finding, row) for finding in findings), (row, seen)
    # And no finding of a kind with an upper bound is more severe
    for row in case["findings"]:
        if "most" in row:
            assert all(_is_expected(finding, row) for finding in findings if finding.kind in row["kinds"]), seen
    if not case["findings"]:
        assert not seen


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_no_findings_without_a_change(path: Path) -> None:
    case = _read(path)

    for side in ("before", "after"):
        assert compare(_assembly(case[side]), _assembly(case[side])).is_empty


def test_cases_expect_known_kinds_and_severities() -> None:
    assert CASES
    for path in CASES:
        for row in _read(path)["findings"]:
            assert set(row.get("kinds", ())) <= KINDS.keys(), path.name
            assert {row.get("least", Severity.INFO), row.get("most", Severity.INFO)} <= set(Severity), path.name
