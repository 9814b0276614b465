"""Write the table of docs/adopting.md: the files that each change touches, and the last result of its row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from adopters.rows import ROWS, slug
from slipway.documents import between
from slipway.project import ROOT

RESULTS = ROOT / "build" / "adopters"
"""One file for each row that was run here."""

PAGE = ROOT / "docs" / "adopting.md"
MARKER = "adopters"
_HEAD = ("change", "files", "checks and tests", "rehearsal", "seconds")
_KEYS = ("touched", "outcome", "rehearsed", "seconds")


def table(page: str, results: Path = RESULTS) -> str:
    """Return the table of all rows.

    Args:
        page: The current text of the page; a row that was not run here keeps its line.
        results: A folder with one file per row that was run. Default: this checkout's.
    """
    known = {line.split(" | ")[0].removeprefix("| "): line for line in page.splitlines() if line.startswith("| ")}
    lines = [_line(_HEAD), _line(("---",) * len(_HEAD))]
    for row in ROWS:
        file = results / f"{slug(row)}.json"
        if not file.is_file() and row.name in known:
            lines.append(known[row.name])
            continue
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found = found if row.plays else {**found, "rehearsed": "-"}
        lines.append(_line((row.name, *(str(found.get(key, "")) for key in _KEYS))))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Write the table into its page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between(text, MARKER, table(text), name=PAGE.name), encoding="utf-8")


if __name__ == "__main__":
    main()
