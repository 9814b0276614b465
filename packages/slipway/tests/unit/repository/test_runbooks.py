"""The runbooks that alarms link to say what to do."""

from __future__ import annotations

import re

import pytest

from slipway.project import ROOT

RUNBOOKS = ROOT / "docs" / "runbooks"


@pytest.mark.parametrize("page", sorted(path.stem for path in RUNBOOKS.glob("*.md") if path.stem != "README"))
def test_runbook_says_what_to_check_and_fix(page: str) -> None:
    # Given that every alarm links to a runbook, which a gate rule enforces (Slipway-AlarmHasRunbook)
    text = (RUNBOOKS / f"{page}.md").read_text(encoding="utf-8")

    assert "**What it says.**" in text
    assert "## Look" in text
    assert "## Fix" in text


def test_the_list_of_runbooks_is_complete() -> None:
    # Given the existing runbooks
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    # When the list of runbooks is read, then it names each of them
    listed = set(re.findall(r"\]\(([a-z0-9-]+)\.md\)", (RUNBOOKS / "README.md").read_text(encoding="utf-8")))
    assert listed == pages
