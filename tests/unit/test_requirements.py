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


@pytest.mark.parametrize("identifier", ROWS)
def test_every_row_names_a_test(identifier: str) -> None:
    assert ROWS[identifier].tests


def test_rows_stand_in_their_order_and_no_row_is_there_twice() -> None:
    # Given the letters in the order of the page, and numbers that rise within each
    found = [(row.id[0], int(row.id[1:])) for row in REQUIREMENTS.rows]
    letters = list(dict.fromkeys(letter for letter, _ in found))

    assert found == sorted(set(found), key=lambda row: (letters.index(row[0]), row[1]))
    assert not REQUIREMENTS.not_yet


def test_every_section_that_looks_like_a_row_is_one() -> None:
    # Given a heading with a typing mistake in its form, which the parser would pass over
    headings = re.findall(r"^### (.*)", (ROOT / PAGE).read_text(encoding="utf-8"), re.MULTILINE)

    assert [heading for heading in headings if not re.fullmatch(r"[A-Z]\d+ — .+", heading)] == []
    assert {f"{row.id} — {row.title}" for row in REQUIREMENTS.rows} <= set(headings)


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
