"""`docs/requirements.md` is read as it is meant, and what it claims without a test is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.evidence.errors import EvidenceError
from slipway.evidence.requirements import problems, read_requirements
from slipway.evidence.sources import Sources
from unit.evidence.repository import Repository


def test_rows_proofs_and_faults_are_read(repository: Repository) -> None:
    page = read_requirements(repository.root / "docs" / "requirements.md")

    (row,) = page.rows
    assert (row.id, row.title, row.section) == ("P1", "a key of its own", "Every service")
    assert row.text == "It rotates; see [the other page](other.md)."
    assert [(proof.kind, proof.tests) for proof in row.proofs] == [
        ("template", ("tests/unit/test_key.py::test_it_rotates",)),
        ("only AWS", ()),
    ]
    assert page.not_yet == (("P2", "P2: there is no table."),)
    (fault,) = page.faults
    assert (fault.text, fault.tests) == (
        "a key that `logs` may not use",
        ("tests/unit/test_key.py::TestUse::test_logs_may",),
    )
    assert problems(page, Sources(repository.root)) == ()


def test_sections_keep_the_order_of_the_page(repository: Repository) -> None:
    row = "## {}\n\n### {} — a row\nIt is.\n- template: `tests/unit/test_key.py::test_it_rotates`\n\n"
    repository.edit(
        "docs/requirements.md", "## Not yet", row.format("`items`", "I1") + row.format("A", "A1") + "## Not yet"
    )

    sections = read_requirements(repository.root / "docs" / "requirements.md").sections

    assert [(name, [row.id for row in rows]) for name, rows in sections.items()] == [
        ("Every service", ["P1"]),
        ("`items`", ["I1"]),
        ("A", ["A1"]),
    ]


def test_a_bullet_over_several_lines_is_one_proof(repository: Repository) -> None:
    repository.edit(
        "docs/requirements.md",
        "- only AWS: that",
        "- request: `tests/unit/test_key.py`\n  and more of\n  it\n- only AWS: that",
    )

    (row,) = read_requirements(repository.root / "docs" / "requirements.md").rows

    assert row.proofs[1].text == "request: `tests/unit/test_key.py` and more of it"
    assert row.proofs[1].tests == ("tests/unit/test_key.py",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("test_key.py::test_it_rotates", "test_key.py::test_gone", "tests/unit/test_key.py has no test test_gone"),
        ("test_key.py::test_it_rotates", "test_lock.py", "tests/unit/test_lock.py does not exist"),
        ("`tests/unit/test_key.py::test_it_rotates`", "nothing", "P1 names no test"),
        ("::TestUse::test_logs_may`", ":TestUse`", "tests/unit/test_key.py:TestUse is not the id of a test"),
        (
            "`tests/unit/test_key.py::TestUse::test_logs_may`",
            "none",
            "no test is named for: a key that `logs` may not use",
        ),
    ],
)
def test_what_nothing_shows_is_named(repository: Repository, old: str, new: str, said: str) -> None:
    repository.edit("docs/requirements.md", old, new)

    found = problems(read_requirements(repository.root / "docs" / "requirements.md"), Sources(repository.root))

    assert said in found


def test_a_page_without_rows_or_that_is_missing_is_one_line(tmp_path: Path) -> None:
    page = tmp_path / "requirements.md"
    with pytest.raises(EvidenceError, match=r"requirements\.md cannot be read"):
        read_requirements(page)

    page.write_text("# Nothing\n\n## Here\n", encoding="utf-8")
    with pytest.raises(EvidenceError, match=r"requirements\.md holds no row"):
        read_requirements(page)


def test_what_a_removed_service_showed_is_left_out(tmp_path: Path) -> None:
    # Given a row that two services show, and one that a removed service alone shows
    page = tmp_path / "docs" / "requirements.md"
    page.parent.mkdir()
    (tmp_path / "services" / "kept").mkdir(parents=True)
    kept, removed = "services/kept/tests/unit/test_a.py", "services/removed/tests/unit/test_b.py"
    page.write_text(
        f"## Rows\n\n### A1 — Both\nWords.\n- unit: `{kept}`\n- unit: `{removed}`\n\n"
        f"### A2 — Gone\nWords.\n- unit: `{removed}`\n",
        encoding="utf-8",
    )

    found = read_requirements(page)

    assert [(row.id, row.tests) for row in found.rows] == [("A1", (kept,))]
    assert found.tests == (kept,)
