"""Write the table of docs/adopting.md: what each change costs in files, and how its row ended last."""

from __future__ import annotations

import json

from adopters.rows import ROWS, slug
from slipway.documents import between
from slipway.project import ROOT

RESULTS = ROOT / "build" / "adopters"
"""A file for each row that was run here."""

PAGE = ROOT / "docs" / "adopting.md"
MARKER = "adopters"
_HEAD = ("change", "files", "checks and tests", "rehearsal", "seconds")


def table() -> str:
    """Return the table of all rows; one that was not run here has no outcome."""
    lines = [_HEAD, ("---",) * len(_HEAD)]
    for row in ROWS:
        file = RESULTS / f"{slug(row)}.json"
        found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found = found if row.plays else {**found, "rehearsed": "-"}
        cells = (found.get(key, "") for key in ("touched", "outcome", "rehearsed", "seconds"))
        lines.append((row.name, *(str(cell) for cell in cells)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write the table into its page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(between(text, MARKER, table(), name=PAGE.name), encoding="utf-8")


if __name__ == "__main__":
    main()
