"""Choose the test modules that a change can affect, for the inner loop: `make unit CHANGED=main`.

A module of tests is chosen if it, one of its `conftest.py` files or anything that they import, directly or not, differs
from a commit. Names in strings count as imports too, such as those of commands that are loaded late. A file that isn't
Python counts as part of the Python files beside it, or in the nearest folder above it. Modules that search the
repository's folders are always chosen; those that read one of its files are chosen if a file that isn't Python changed;
and all of them are chosen if the installed packages may differ.

The choice is for feedback, not for the gate: `make test` runs everything.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway import git

_IMPORTED_FROM = re.compile(r"packages/[^/]+/(src|tests)/")
"""Folders besides the root from which modules are imported."""

_SOURCES = ("app.py", "packages", "pipeline", "services", "stacks", "stages", "tests")

_INSTALLED = re.compile(r"requirements/|(packages/[^/]+/)?pyproject\.toml$|package(-lock)?\.json$")
"""Files that decide which packages there are, and how pytest runs."""

_LOOKS_THROUGH = re.compile(r"\bROOT\b[^\n]*\.r?glob\(|\.rglob\(\"\*\.py\"\)")
_READS = re.compile(r"\bROOT\b")
_STARTS = re.compile(r"\"-m\", \"slipway\"")
_COMMAND_LINE = "slipway.__main__"
_DOTTED = re.compile(r"[a-z_]\w*(\.\w+)+")


class Reads(StrEnum):
    """Files of the repository that a module reads, besides those that it imports."""

    NOTHING = "nothing"
    FILES = "files"
    FOLDERS = "folders"


@dataclass(frozen=True)
class Module:
    """Dependencies of one Python file on others.

    Attributes:
        names: Modules that it may import, as dotted names; some are attributes of modules.
        reads: Which files of the repository it reads by path: none, single files, or whatever it finds in folders.
    """

    names: tuple[str, ...]
    reads: Reads


class AffectedTests:
    """The test modules that a change can affect.

    Args:
        root: The repository.
        modules: Every Python file of it, by path relative to the root, with slashes.
        changed: The files that differ, in the same form; some may be deleted.
    """

    def __init__(self, root: Path, modules: Mapping[str, Module], changed: Iterable[str]) -> None:
        self._root = root
        self._modules = modules
        self._changed = frozenset(changed)

    def includes(self, test: Path) -> bool:
        """Return True if a change may affect a module of tests."""
        if not self._changed:
            return False
        if any(_INSTALLED.match(file) for file in self._changed):
            return True
        path = test.relative_to(self._root)
        shared = {(folder / "conftest.py").as_posix() for folder in path.parents}
        module = self._modules.get(path.as_posix())
        if module is None or module.reads is Reads.FOLDERS:
            return True
        if module.reads is Reads.FILES and not all(file.endswith(".py") for file in self._changed):
            return True
        return not self._affected.isdisjoint({path.as_posix(), *shared})

    @cached_property
    def _affected(self) -> frozenset[str]:
        """Every file that changed, and every file that imports one of these, directly or not."""
        importers: dict[str, set[str]] = defaultdict(set)
        for path, module in self._modules.items():
            for name in module.names:
                importers[name].add(path)
        found: set[str] = set()
        waiting = [path for file in self._changed for path in self._python(file)]
        while waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                waiting += importers[_module_name(path)]
        return frozenset(found)

    def _python(self, file: str) -> list[str]:
        """Return a Python file itself, and for any other those of the nearest folder that has some."""
        if file.endswith(".py"):
            return [file]
        # Tests that read a file of the root by its path are chosen anyway.
        for folder in Path(file).parents[:-1]:
            if beside := [path for path in self._modules if Path(path).parent == folder]:
                return beside
        return []


def choose(root: Path, base: str) -> AffectedTests:
    """Return the choice for a working tree's differences from a commit, including untracked files.

    Args:
        root: The repository.
        base: A commit.

    Raises:
        GitError: There is no such commit.
    """
    differs = git.output(root, "diff", "--name-only", "--relative", "-z", base, "--")
    new = git.output(root, "ls-files", "--others", "--exclude-standard", "-z")
    return AffectedTests(root, read_modules(root), [file for file in f"{differs}\0{new}".split("\0") if file])


def read_modules(root: Path) -> dict[str, Module]:
    """Return every Python file of the repository; unchanged files are taken from a cache."""
    kept = root / "build" / "tests" / "imports.json"
    known = _known(kept)
    found: dict[str, list[Any]] = {}
    for file in _python_files(root):
        path, stat = file.relative_to(root).as_posix(), file.stat()
        stamp = [stat.st_mtime_ns, stat.st_size]
        entry = known.get(path)
        found[path] = entry if entry and entry[0] == stamp else [stamp, *_read(root, file)]
    if found != known:
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Atomically: several processes of a run may write it.
        written = kept.with_suffix(f".{id(found)}")
        written.write_text(json.dumps(found), encoding="utf-8")
        written.replace(kept)
    return {path: Module(tuple(names), Reads(reads)) for path, (_, names, reads) in found.items()}


def _known(file: Path) -> dict[str, list[Any]]:
    try:
        known: dict[str, list[Any]] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _python_files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        place = root / name
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def _read(root: Path, file: Path) -> tuple[list[str], Reads]:
    text = file.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text, str(file))
    except SyntaxError:
        # A module that imports it fails, and is chosen because it changed.
        return [], Reads.FOLDERS
    name = _module_name(file.relative_to(root).as_posix())
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    names = {prefix for found in _imports(tree, package) for prefix in _prefixes(found)}
    if _STARTS.search(text):
        # It may start any command.
        names.add(_COMMAND_LINE)
    reads = Reads.FOLDERS if _LOOKS_THROUGH.search(text) else Reads.FILES if _READS.search(text) else Reads.NOTHING
    return sorted(names), reads


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*source, alias.name]) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := _DOTTED.match(node.value)):
            yield found.group()


def _prefixes(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _module_name(path: str) -> str:
    """Return the dotted name under which a file is imported."""
    parts = Path(_IMPORTED_FROM.sub("", path, count=1)).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
