"""Every kind of finding: a planted case turns the review red, and its fix turns it green."""

from __future__ import annotations

import pytest

from slipway.review.comparison import compare
from slipway.review.findings import KINDS
from slipway.review.questions import OF_ANY_TYPE, RAISED_BY
from unit.review.planted import CASES, Case


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_planted_change_is_found(case: Case) -> None:
    # Given the deployed assembly, when the planted change is reviewed
    findings = compare(case.before, case.after, has_file=case.has_file, protected=case.protected).findings

    # Then it is found with the expected severity
    found = [finding for finding in findings if finding.kind == case.kind]
    assert found, [finding.id for finding in findings]
    assert min(found, key=lambda finding: finding.severity.rank).severity == case.severity
    for finding in found:
        assert finding.what
        # Findings about the whole assembly name no resource
        if finding.resource != "manifest.json":
            assert finding.resource.startswith("Pipeline/prod-items/")
            assert finding.stage == "prod-items"


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fixed_findings_are_not_found(case: Case) -> None:
    # Given the fixed change, or the reverse change if the planted one can be undone
    before, after = (case.before, case.fix) if case.fix is not None else (case.after, case.before)

    # Then there is no finding of that kind
    assert case.kind not in {
        finding.kind for finding in compare(before, after, has_file=case.has_file, protected=case.protected).findings
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_is_found_without_a_change(case: Case) -> None:
    for assembly in (case.before, case.after):
        # Unreadable values may have changed without being visible
        if not assembly.unread and not assembly.lookups:
            assert compare(assembly, assembly).is_empty


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_two_findings_have_the_same_id(case: Case) -> None:
    # Waivers refer to findings by id
    identifiers = [finding.id for finding in compare(case.before, case.after).findings]

    assert len(identifiers) == len(set(identifiers))


def test_every_kind_has_a_planted_case() -> None:
    assert {case.kind for case in CASES} == set(KINDS)


def test_every_kind_says_why_and_what_to_do() -> None:
    for name, kind in KINDS.items():
        assert len(kind.why.split()) >= 5, name
        assert len(kind.do.split()) >= 2, name


def test_every_kind_answers_one_of_the_questions() -> None:
    assert RAISED_BY.keys() == KINDS.keys()
    assert KINDS.keys() >= OF_ANY_TYPE
