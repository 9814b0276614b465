"""`make pictures`: record a rehearsal, and take screenshots of the reports in build/."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console

from pictures.animation import animate
from pictures.recording import Recording, load, record, save
from slipway.project import ROOT
from slipway.testing.browser import browser, why_not

IMAGES = ROOT / "docs" / "images"
CAST = ROOT / "build" / "pictures" / "rehearsal.cast"
COMMAND = ["make", "rehearse", "APPROVE=yes"]
TITLE = "A rehearsal on one machine: make rehearse takes a commit through dev, staging and prod, with canaries"

REHEARSAL = Path("build/rehearsal/index.html")

REPORTS = {
    "page-rehearsal.png": (REHEARSAL, "h1"),
    "page-pipeline.png": (REHEARSAL, "ol.pipeline"),
    "page-review.png": (Path("build/report/review.html"), "h1"),
    "page-nag.png": (Path("build/report/nag.html"), "h1"),
    "page-evidence.png": (Path("build/report/index.html"), "h1"),
}
"""Each screenshot with its page, as `make rehearse`, `make review`, `make synth` and `make evidence` write it, and the
element that it starts at."""

WIDTH, HEIGHT = 1200, 800


def main(arguments: list[str]) -> int:
    """Write the pictures, from a rehearsal that runs now or from the recording of one.

    Args:
        arguments: A file in asciicast v2 to draw instead of a new recording; none to record.

    Returns:
        The exit code: 0, or 1 if a report or the browser is missing.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    recording = load(Path(arguments[0])) if arguments else _rehearsal()
    (IMAGES / "rehearsal.svg").write_text(animate(recording, title=TITLE), encoding="utf-8")
    if reason := why_not():
        console.print(f"pictures: {reason}", markup=False, style="red")
        return 1
    missing = {page for page, _ in REPORTS.values() if not (ROOT / page).is_file()}
    with browser(width=WIDTH, height=HEIGHT) as opened:
        for picture, (page, part) in REPORTS.items():
            if page not in missing:
                opened.open(ROOT / page)
                opened.run("document.querySelector(arguments[0]).scrollIntoView()", part)
                (IMAGES / picture).write_bytes(opened.screenshot())
    for page in sorted(missing):
        console.print(f"pictures: {page} is missing; run the verb that writes it", markup=False, style="red")
    return bool(missing)


def _rehearsal() -> Recording:
    recording = record(
        COMMAND, folder=ROOT, variables=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    )
    save(recording, CAST)
    return recording


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
