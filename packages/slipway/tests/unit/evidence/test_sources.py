"""Exactly what pytest would collect counts as a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway import project
from slipway.evidence.errors import EvidenceError
from slipway.evidence.sources import Sources

TEXT = """
import pytest

LIMIT = 3
OTHER: int = 4

def helper(): ...

def test_function(): ...

async def test_waits(): ...

@pytest.mark.parametrize("x", [1])
def test_many(x): ...

class TestGroup:
    def test_method(self): ...
    def helper(self): ...

class Group:
    def test_not_collected(self): ...

def outer():
    def test_inner(): ...
"""


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test_x.py").write_text(TEXT, encoding="utf-8")
    return Sources(tmp_path)


def test_it_finds_what_pytest_would_collect(sources: Sources) -> None:
    assert sources.tests("tests/test_x.py") == {
        *("test_function", "test_waits", "test_many", "TestGroup", "TestGroup::test_method"),
    }


def test_it_agrees_with_pytest_about_this_file(request: pytest.FixtureRequest) -> None:
    root = project.ROOT
    path = Path(__file__).relative_to(root).as_posix()
    collected = {
        item.nodeid.partition("::")[2].partition("[")[0]
        for item in request.session.items
        if item.path == Path(__file__)
    }

    assert collected
    assert collected <= Sources(root).tests(path)


@pytest.mark.parametrize(
    ("symbol", "line"), [("LIMIT", 4), ("OTHER", 5), ("helper", 7), ("TestGroup", 16), ("TestGroup.helper", 18)]
)
def test_a_symbol_has_its_line(sources: Sources, symbol: str, line: int) -> None:
    assert sources.line_of("tests/test_x.py", symbol) == line


def test_a_test_file_without_tests_has_none(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_x.py").write_text("def helper(): ...\n", encoding="utf-8")

    assert Sources(tmp_path).missing_test("tests/test_x.py") == "tests/test_x.py contains no test"


def test_file_that_is_not_python_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n", encoding="utf-8")

    with pytest.raises(EvidenceError, match=r"^broken\.py is not valid Python"):
        Sources(tmp_path).line_of("broken.py", "x")
