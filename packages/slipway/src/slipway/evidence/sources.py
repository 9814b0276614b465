"""What is in the repository: files, the symbols in them, and the tests, all read from the text and never imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from slipway.evidence.errors import EvidenceError

TEST = re.compile(r"(?P<path>(?:[\w-]+/)*(?:tests|testing)/(?:\w+/)*test_\w+\.py)(?P<name>(?:::\w+)*)")
"""A file of tests, or a test in it: `…tests/…/test_x.py`, `…::test_name`, `…::TestClass::test_name`."""

# What pytest collects (pyproject.toml changes none of it): functions, and methods of classes that begin with Test; a
# class may have inherited all of them.
_COLLECTED = re.compile(r"(Test\w*\.)?test_\w+|Test\w+")


class Sources:
    """The files of a repository.

    Args:
        root: its folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._symbols: dict[str, dict[str, int]] = {}

    @cached_property
    def _resolved(self) -> Path:
        return self.root.resolve()

    def has_file(self, path: str) -> bool:
        """Whether a path, from the root, is a file within the repository."""
        found = (self.root / path).resolve()
        return found.is_file() and found.is_relative_to(self._resolved)

    def went_with_its_service(self, path: str) -> bool:
        """True if a path is of a service that the app no longer has."""
        parts = Path(path).parts
        return len(parts) > 2 and parts[0] == "services" and not (self.root / "services" / parts[1]).is_dir()

    def line_of(self, path: str, symbol: str) -> int | None:
        """The line of a symbol, from 1; None when the file does not have it.

        Args:
            path: a file that is there.
            symbol: in Python a function, a class, a constant or `Class.method`; elsewhere a text that stands in it.
        """
        if path.endswith(".py"):
            return self._symbols_of(path).get(symbol)
        lines = (self.root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        return next((number for number, line in enumerate(lines, start=1) if symbol in line), None)

    def tests(self, path: str) -> frozenset[str]:
        """The tests of a file, `test_name`, `TestClass` or `TestClass::test_name`; none when it is not there."""
        if not self.has_file(path):
            return frozenset()
        return frozenset(name.replace(".", "::") for name in self._symbols_of(path) if _COLLECTED.fullmatch(name))

    def missing_test(self, node: str) -> str | None:
        """Why a test does not show anything; None when it is there.

        Args:
            node: its id, or the path of a file of tests.
        """
        match = TEST.fullmatch(node)
        if not match:
            return f"{node} is not the id of a test"
        path, name = match["path"], match["name"].removeprefix("::")
        if not self.has_file(path):
            return f"{path} does not exist"
        if not self.tests(path):
            return f"{path} holds no test"
        if name and name not in self.tests(path):
            return f"{path} has no test {name}"
        return None

    def _symbols_of(self, path: str) -> dict[str, int]:
        if path not in self._symbols:
            try:
                tree = ast.parse((self.root / path).read_text(encoding="utf-8"), path)
            except (OSError, SyntaxError, UnicodeDecodeError) as error:
                raise EvidenceError(f"{path} is no Python that can be read ({error})") from None
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
