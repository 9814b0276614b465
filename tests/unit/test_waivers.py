"""The app's own waivers can be read, and so can the example in their file."""

from __future__ import annotations

import pytest

from slipway.project import ROOT
from slipway.review.waivers import WAIVERS_FILE, read_waivers

pytestmark = pytest.mark.requirement("gates before any account")


def test_the_committed_file_is_read() -> None:
    assert isinstance(read_waivers((ROOT / WAIVERS_FILE).read_text(encoding="utf-8")), tuple)


def test_the_example_in_the_committed_file_is_one() -> None:
    # Given the example, without its comment marks; a team may have deleted it
    _, mark, example = (ROOT / WAIVERS_FILE).read_text(encoding="utf-8").partition("# [[waiver]]")
    lines = [line.removeprefix("# ") for line in f"{mark}{example}".splitlines()]

    assert len(read_waivers("\n".join(lines))) >= bool(mark)
