"""Documents are generated from code and configuration, and `--check` names those that are stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.documents import DocumentError, between, stale


def test_part_between_markers_is_replaced() -> None:
    text = "# Page\n\n<!-- cost -->\nold\n<!-- /cost -->\n\nEnd.\n"

    assert between(text, "cost", "new", name="page.md") == "# Page\n\n<!-- cost -->\nnew\n<!-- /cost -->\n\nEnd.\n"


def test_content_may_include_its_markers() -> None:
    text = "<!-- cost -->\nold\n<!-- /cost -->\n"
    content = "<!-- cost -->\n\nnew\n\n<!-- /cost -->\n"

    assert between(text, "cost", content, name="page.md") == "<!-- cost -->\nnew\n<!-- /cost -->\n"


@pytest.mark.parametrize("text", ["", "<!-- cost -->", "<!-- /cost -->", "<!-- /cost --><!-- cost -->"])
def test_missing_marker_is_named(text: str) -> None:
    with pytest.raises(DocumentError, match=r"page\.md: marker <!-- cost --> or <!-- /cost --> is missing"):
        between(text, "cost", "new", name="page.md")


def test_files_that_differ_or_are_missing_are_stale(tmp_path: Path) -> None:
    same, other, missing = (tmp_path / name for name in ("same.md", "other.md", "missing.md"))
    same.write_text("text", encoding="utf-8")
    other.write_text("old", encoding="utf-8")

    assert stale({same: "text", other: "text", missing: "text"}) == [other, missing]
