"""`docs/requirements.md` is true: every row is there, and every test that it names exists.

The page of evidence reads it by the same parser.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway.evidence.requirements import PAGE, read_requirements
from slipway.evidence.sources import Sources

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = read_requirements(ROOT / PAGE)
ROWS = {row.id: row for row in REQUIREMENTS.rows}
SOURCES = Sources(ROOT)

ALL = [
    *(f"P{number}" for number in range(1, 19)),
    *(f"I{number}" for number in range(1, 12)),
    *(f"G{number}" for number in range(1, 9)),
    *(f"C{number}" for number in range(1, 9)),
    *(f"D{number}" for number in range(10)),
]


@pytest.mark.parametrize("identifier", ALL)
def test_every_row_names_a_test(identifier: str) -> None:
    assert ROWS[identifier].tests


def test_rows_stand_in_their_order_and_no_row_is_there_twice() -> None:
    assert [row.id for row in REQUIREMENTS.rows] == ALL
    assert not REQUIREMENTS.not_yet


def test_every_section_that_looks_like_a_row_is_one() -> None:
    # Given a heading with a typing mistake in its form, which the parser would pass over
    headings = re.findall(r"^### (.*)", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)

    assert [f"{row.id} — {row.title}" for row in REQUIREMENTS.rows] == headings


def test_every_fault_that_only_aws_would_tell_names_its_test() -> None:
    assert REQUIREMENTS.faults
    for fault in REQUIREMENTS.faults:
        assert fault.tests, fault.text


@pytest.mark.parametrize("named", REQUIREMENTS.tests)
def test_every_test_that_is_named_exists(named: str) -> None:
    assert SOURCES.missing_test(named) is None


def test_everything_that_looks_like_a_test_is_checked() -> None:
    # Given a name with a typing mistake in its form, which the parser would pass over
    assert not REQUIREMENTS.strangers
