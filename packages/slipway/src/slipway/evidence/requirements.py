"""`docs/requirements.md`: every row that counts, with the tests that show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from slipway.evidence.errors import EvidenceError
from slipway.evidence.sources import TEST, Sources

PAGE = Path("docs", "requirements.md")
NOT_YET = "Not yet"
"""The section of the rows that are not shown."""

_NAMED = re.compile(rf"`({TEST.pattern})`")
_LIKE_A_TEST = re.compile(r"`((?:[\w-]+/)*(?:tests|testing)/[^`]*test_[^`]*)`")
_ROW = re.compile(r"### (?P<id>[A-Z]\d+) — (?P<title>.+)")
_MISSING = re.compile(r"- (?P<id>[A-Z]\d+)\b")
_OF_A_SERVICE = re.compile(r"services/\w+(?=/)")


@dataclass(frozen=True)
class Proof:
    """One bullet of a row: a test that shows it, or what no test here can."""

    kind: str
    """What comes before the colon, such as `template`."""
    text: str
    """The whole bullet, as Markdown."""
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One row."""

    id: str
    title: str
    section: str
    text: str
    """What is required, in short, as Markdown."""
    proofs: tuple[Proof, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """Every test that it names."""
        return tuple(test for proof in self.proofs for test in proof.tests)


@dataclass(frozen=True)
class Fault:
    """One fault that only AWS would tell, with the tests that keep it away."""

    text: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Requirements:
    """The page."""

    rows: tuple[Row, ...]
    not_yet: tuple[tuple[str, str], ...]
    """Id and words of each row that is not shown."""
    faults: tuple[Fault, ...]
    tests: tuple[str, ...]
    """Every test that is named anywhere on the page, once, in the order of their names."""
    strangers: tuple[str, ...]
    """What looks like a test and is not the id of one, as with a typing mistake in its form."""

    @property
    def sections(self) -> dict[str, list[Row]]:
        """The rows by section, in the order of the page."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.section, []).append(row)
        return found


def named_tests(text: str) -> tuple[str, ...]:
    """The ids of tests in a text, each in backticks."""
    return tuple(match[1] for match in _NAMED.finditer(text))


def read_requirements(path: Path) -> Requirements:
    """Read the page, without what was shown by services that are removed.

    Args:
        path: of the page, in the project's `docs`.

    Raises:
        EvidenceError: it cannot be read, or holds no row.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path} cannot be read ({error})") from None
    rows: list[Row] = []
    not_yet: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for section, lines in _sections(text):
        if section == NOT_YET:
            not_yet += [(match["id"], bullet) for bullet in _bullets(lines) if (match := _MISSING.match(f"- {bullet}"))]
            continue
        rows += _rows(section, lines)
        faults += [Fault(line.split("|")[1].strip(), named_tests(line)) for line in lines[2:] if line.startswith("| ")]
    if not rows:
        raise EvidenceError(f"{path} holds no row")
    gone = {
        test
        for test in named_tests(text)
        if (match := _OF_A_SERVICE.match(test)) and not (path.resolve().parents[1] / match[0]).is_dir()
    }
    strangers = tuple(name for name in _LIKE_A_TEST.findall(text) if not TEST.fullmatch(name))
    return Requirements(
        rows=tuple(_left(rows, gone)),
        not_yet=tuple(not_yet),
        faults=tuple(
            replace(fault, tests=tuple(test for test in fault.tests if test not in gone))
            for fault in faults
            if not fault.tests or set(fault.tests) - gone
        ),
        tests=tuple(sorted(set(named_tests(text)) - gone)),
        strangers=strangers,
    )


def _left(rows: list[Row], gone: set[str]) -> Iterator[Row]:
    """Yield the rows without the tests that are gone; one that they alone showed is gone with them."""
    for row in rows:
        if row.tests and not set(row.tests) - gone:
            continue
        proofs = (
            replace(proof, tests=tuple(test for test in proof.tests if test not in gone))
            for proof in row.proofs
            if not proof.tests or set(proof.tests) - gone
        )
        yield replace(row, proofs=tuple(proofs))


def problems(requirements: Requirements, sources: Sources) -> tuple[str, ...]:
    """What the page claims and nothing shows, a line each.

    Args:
        requirements: the page.
        sources: where the tests are.
    """
    unproven = (f"{row.id} names no test" for row in requirements.rows if not row.tests)
    unguarded = (f"no test is named for: {fault.text}" for fault in requirements.faults if not fault.tests)
    strange = (f"{name} is not the id of a test" for name in requirements.strangers)
    missing = filter(None, map(sources.missing_test, requirements.tests))
    return tuple(dict.fromkeys([*unproven, *unguarded, *strange, *missing]))


def _sections(text: str) -> Iterator[tuple[str, list[str]]]:
    for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, *lines = part.splitlines()
        yield title.strip(), [line for line in lines if line.strip()]


def _rows(section: str, lines: list[str]) -> Iterator[Row]:
    starts = [place for place, line in enumerate(lines) if _ROW.fullmatch(line)]
    for start, end in pairwise([*starts, len(lines)]):
        if match := _ROW.fullmatch(lines[start]):
            body = lines[start + 1 : end]
            words = " ".join(body[: _first_bullet(body)])
            yield Row(match["id"], match["title"], section, words, tuple(map(_proof, _bullets(body))))


def _first_bullet(lines: list[str]) -> int:
    return next((place for place, line in enumerate(lines) if line.startswith("- ")), len(lines))


def _bullets(lines: list[str]) -> Iterator[str]:
    """Each bullet without its dash, continuation lines joined to it."""
    bullet: list[str] = []
    for line in lines[_first_bullet(lines) :]:
        if line.startswith("- "):
            if bullet:
                yield " ".join(bullet)
            bullet = [line.removeprefix("- ").strip()]
        else:
            bullet.append(line.strip())
    if bullet:
        yield " ".join(bullet)


def _proof(bullet: str) -> Proof:
    return Proof(bullet.partition(":")[0], bullet, named_tests(bullet))
