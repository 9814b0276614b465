"""Review outcomes for tests."""

from __future__ import annotations

from datetime import date

from slipway.review.comparison import compare
from slipway.review.outcome import ReviewOutcome, ReviewState
from slipway.review.waivers import judge, read_waivers
from unit.review.assemblies import of
from unit.review.planted import READ, TABLE, allow, role

TODAY = date(2027, 1, 15)
GONE = "stateful-removed:Pipeline/prod-items/Data/Table"


def outcome(waivers: str = "", *, changed: bool = True) -> ReviewOutcome:
    """Return the outcome for a deleted table and a role with more permissions."""
    before = of({**TABLE, **role(READ)})
    comparison = compare(before, of(role(allow("s3:*"))) if changed else before)
    return ReviewOutcome(
        state=ReviewState.REVIEWED,
        base="HEAD~1 (abc)",
        head="the working tree",
        comparison=comparison,
        judgement=judge(comparison.findings, read_waivers(waivers), today=TODAY),
    )


FIRST = ReviewOutcome(state=ReviewState.FIRST, head="HEAD", comparison=compare(None, of(TABLE)))
REFUSED = ReviewOutcome(state=ReviewState.NOT_REVIEWED, problems=("x is not a revision of this repository",))
ALLOWED = ReviewOutcome(state=ReviewState.NOT_REVIEWED, notes=("the source is S3",), allowed=True)
