"""`docs/nag.md` and `docs/review.md` match the gates."""

from __future__ import annotations

import re

from slipway import project
from slipway.nag.names import OWN_PACK, PACKS
from slipway.nag.verdict import LONGEST
from slipway.review.findings import KINDS, Severity
from slipway.review.outcome import ReviewOutcome, ReviewState, as_json
from slipway.revisions.synthesis import KEPT
from slipway.rules.pack import RULES

DOCUMENTS = project.ROOT / "docs"
PAGE = (DOCUMENTS / "nag.md").read_text(encoding="utf-8")
REVIEW = (DOCUMENTS / "review.md").read_text(encoding="utf-8")


def test_page_lists_exactly_the_rules_of_this_project() -> None:
    listed = re.findall(rf"^\| `{OWN_PACK}-(\w+)` \|", PAGE, flags=re.MULTILINE)

    assert listed == [rule.name for rule in RULES]


def test_page_names_every_pack_and_the_longest_expiry() -> None:
    assert all(f"`{pack}`" in PAGE for pack in PACKS)
    assert f"more than {LONGEST.days} days" in PAGE


def test_the_review_lists_findings_by_severity() -> None:
    listed: dict[str, Severity] = {}
    for severity in Severity:
        (row,) = re.findall(rf"^\| {severity} \| (.*) \|$", REVIEW, flags=re.MULTILINE)
        listed |= dict.fromkeys(re.findall(r"`([a-z-]+)`", row), severity)

    assert listed == {name: kind.severity for name, kind in KINDS.items()}


def test_review_page_describes_its_json() -> None:
    (table,) = re.findall(r"^## review.json\n(.*)", REVIEW, flags=re.MULTILINE | re.DOTALL)
    keys = [
        key for cell in re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE) for key in re.findall(r"`(\w+)`", cell)
    ]

    assert keys == list(as_json(ReviewOutcome(state=ReviewState.REVIEWED)))


def test_review_page_states_how_many_assemblies_are_kept() -> None:
    assert KEPT == 5
    assert "the last five of them" in REVIEW
