"""Each kind of finding: a planted case turns it red, its mend turns it green."""

from __future__ import annotations

import pytest

from slipway.review.comparison import compare
from slipway.review.findings import KINDS
from slipway.review.questions import OF_ANY_TYPE, RAISED_BY
from unit.review.planted import CASES, Case


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_planted_is_found(case: Case) -> None:
    # Given what is deployed, when the planted change comes
    findings = compare(case.before, case.after, has_file=case.has_file, protected=case.protected).findings

    # Then it is found, as grave as it is
    found = [finding for finding in findings if finding.kind == case.kind]
    assert found, [finding.id for finding in findings]
    assert min(found, key=lambda finding: finding.severity.rank).severity == case.severity
    for finding in found:
        assert finding.what
        # Of the assembly as a whole no resource is meant.
        if finding.resource != "manifest.json":
            assert finding.resource.startswith("Pipeline/prod-items/")
            assert finding.stage == "prod-items"


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fixed_findings_are_not_found(case: Case) -> None:
    # Given the change as it should have been, or the one back again where that tightens
    before, after = (case.before, case.mend) if case.mend is not None else (case.after, case.before)

    # Then the finding is not there
    assert case.kind not in {
        finding.kind for finding in compare(before, after, has_file=case.has_file, protected=case.protected).findings
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_nothing_is_found_where_nothing_changes(case: Case) -> None:
    for assembly in (case.before, case.after):
        # What nobody could read may have changed all the same.
        if not assembly.unread and not assembly.lookups:
            assert compare(assembly, assembly).is_empty


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_two_findings_have_the_same_id(case: Case) -> None:
    # Given that a waiver names one
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
