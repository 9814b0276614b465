"""Files of the repository, their symbols, and the tests, all parsed from the text without importing it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from slipway.evidence.errors import EvidenceError

TEST = re.compile(r"(?P<path>(?:[\w-]+/)*(?:tests|testing)/(?:\w+/)*test_\w+\.py)(?P<name>(?:::\w+)*)")
"""A file of tests, or a test in it: `…tests/…/test_x.py`, `…::test_name`, `…::TestClass::test_name`."""

_TOOL, _TOOL_TESTS = "packages/", "packages/slipway/tests"

# pytest's defaults, which pyproject.toml keeps: functions, and methods of classes that begin with Test, which may be
# inherited.
_COLLECTED = re.compile(r"(Test\w*\.)?test_\w+|Test\w+")


class Sources:
    """The files of a repository.

    Args:
        root: Its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._symbols: dict[str, dict[str, int]] = {}

    @cached_property
    def _resolved(self) -> Path:
        return self.root.resolve()

    def has_file(self, path: str) -> bool:
        """Return True if a path, relative to the root, is a file within the repository."""
        found = (self.root / path).resolve()
        return found.is_file() and found.is_relative_to(self._resolved)

    def is_elsewhere(self, path: str) -> bool:
        """Return True if a path belongs to a tool that is here without its tests."""
        return path.startswith(_TOOL) and not (self.root / _TOOL_TESTS).is_dir()

    def line_of(self, path: str, symbol: str) -> int | None:
        """Return the line of a symbol, from 1; None if the file does not contain it.

        Args:
            path: An existing file.
            symbol: In Python a function, a class, a constant or `Class.method`; in other files any text in it.
        """
        if path.endswith(".py"):
            return self._symbols_of(path).get(symbol)
        lines = (self.root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((number for number, line in enumerate(lines, start=1) if symbol in line), None)

    def tests(self, path: str) -> frozenset[str]:
        """Return the tests of a file, such as `test_name` or `TestClass::test_name`; empty if it does not exist."""
        if not self.has_file(path):
            return frozenset()
        return frozenset(name.replace(".", "::") for name in self._symbols_of(path) if _COLLECTED.fullmatch(name))

    def missing_test(self, node: str) -> str | None:
        """Return why a test does not count; None if it exists.

        Args:
            node: The test's id, or the path of a test file.
        """
        match = TEST.fullmatch(node)
        if not match:
            return f"{node} is not the id of a test"
        path, name = match["path"], match["name"].removeprefix("::")
        if not self.has_file(path):
            return f"{path} does not exist"
        if not self.tests(path):
            return f"{path} contains no test"
        if name and name not in self.tests(path):
            return f"{path} has no test {name}"
        return None

    def _symbols_of(self, path: str) -> dict[str, int]:
        if path not in self._symbols:
            try:
                tree = ast.parse((self.root / path).read_text(encoding="utf-8"), path)
            except (OSError, SyntaxError, UnicodeDecodeError) as error:
                raise EvidenceError(f"{path} is not valid Python ({error})") from None
            self._symbols[path] = dict(_symbols(tree))
        return self._symbols[path]


def _symbols(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in tree.body:
        yield from _named(node)
        if isinstance(node, ast.ClassDef):
            for inner in node.body:
                yield from ((f"{node.name}.{name}", line) for name, line in _named(inner))


def _named(node: ast.stmt) -> Iterator[tuple[str, int]]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, node.lineno
        case ast.Assign():
            yield from ((target.id, node.lineno) for target in node.targets if isinstance(target, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name, node.lineno
