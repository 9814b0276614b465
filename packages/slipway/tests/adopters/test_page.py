"""The table of docs/adopting.md shows the last result of each row."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adopters.page import PAGE, table
from adopters.rows import ROWS, Row, slug

FIRST, SECOND, *_ = (row for row in ROWS if row.plays)


def _lines(page: str, results: Path) -> dict[str, str]:
    return {line.split(" | ")[0].removeprefix("| "): line for line in table(page, results).splitlines()[2:]}


def test_a_row_that_was_run_shows_its_result(tmp_path: Path) -> None:
    result = {"touched": "`app.py`", "outcome": "green", "rehearsed": "items in 9 s", "seconds": 12}
    (tmp_path / f"{slug(FIRST)}.json").write_text(json.dumps(result))

    assert _lines("", tmp_path)[FIRST.name] == f"| {FIRST.name} | `app.py` | green | items in 9 s | 12 |"


def test_a_row_that_was_not_run_here_keeps_its_line(tmp_path: Path) -> None:
    before = f"| {SECOND.name} | `app.py` | green |  | 626 |"

    lines = _lines(f"words\n\n{before}\n", tmp_path)

    assert lines[SECOND.name] == before
    # A row that was never run has no result
    assert lines[FIRST.name] == f"| {FIRST.name} |  |  |  |  |"


SERVICES = ("a new service:", "only ", "without ")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name.startswith(SERVICES)], ids=slug)
def test_a_service_touches_its_folder_app_and_tables(row: Row) -> None:
    (line,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row.name} |"))
    touched = {re.sub(r"`| \((?:new|gone)\)", "", file) for file in line.split(" | ")[1].split(", ")}

    assert "app.py" in touched
    assert {
        file
        for file in touched
        if not re.fullmatch(r"app\.py|services/\w+/|config/[\w-]+\.toml", file) or file == "config/pipeline.toml"
    } == set()


def test_the_page_has_every_row() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert [row.name for row in ROWS if f"\n| {row.name} | " not in page] == []
