"""Determine which of the layer's modules the functions can import, from the sources, without running them.

An omitted module must never be missing, so everything that may be imported counts as imported: a statement counts even
within a function or a branch, unless only type checkers read it. A string with a module's name counts too, because lazy
loaders use such strings, and a module that imports computed names keeps its whole package. Only what `EXTRAS` lists is
omitted although its own package can import it, as long as nothing else shows that it is needed.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

_DYNAMIC = frozenset({"import_module", "__import__", "iter_modules", "walk_packages"})
"""Names of functions that import or find a module by a string."""
_NATIVE_SUFFIXES = (".so",)
_NATIVE_NAME = re.compile(rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?::\w+)?")
"""A module, or something in it: `package.module:name`."""
_BEGINNING = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.(?:[%{].*)?")
"""Text before a computed part: `package.%s`."""


@dataclass(frozen=True)
class Extra:
    """Files that a package itself imports, but only for users who request them.

    Args:
        package: Top-level package; its own mentions do not count.
        files: Path pattern, below the folder that is on Python's path.
        sign: Pattern that occurs in every source that may need the files.
        reason: Their purpose.
    """

    package: str
    files: str
    sign: re.Pattern[bytes]
    reason: str


EXTRAS = (
    Extra(
        "pydantic",
        "pydantic/v1/*",
        re.compile(rb"pydantic\.(v1|utils)\b|pydantic import .*\b(v1|utils)\b|__get_validators__"),
        "pydantic imports its version 1 when it meets a class with `__get_validators__`",
    ),
    Extra("pydantic", "pydantic/mypy.py", re.compile(rb"pydantic\.mypy\b"), "a plug-in of mypy"),
    Extra(
        "aws_lambda_powertools",
        "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
        re.compile(rb"\b(enable_swagger|swagger_ui)\b"),
        "the scripts of Swagger UI, which a resolver serves after `enable_swagger()`",
    ),
)


@dataclass(frozen=True)
class Layer:
    """The files of a layer, by their paths below the folder that is on Python's path.

    Args:
        folder: The folder on Python's path.
        files: Its files, relative to it.
        whole: Top-level modules and packages that are also imported from outside, so nothing of them is omitted.
    """

    folder: Path
    files: tuple[Path, ...]
    whole: frozenset[str] = frozenset()

    def needed(self, code: Imports) -> list[Path]:
        """Return the files that code can import, and the data and metadata of their packages.

        Args:
            code: Imports of our own modules.
        """
        if code.dynamic:
            return list(self.files)
        try:
            reached, wanted = self._reach(code)
        except SyntaxError:
            # Newer syntax than this interpreter's: such a module's imports cannot be read.
            return list(self.files)
        packages = {self._modules[name].parent for name in reached} - {Path()}
        left_out = [extra.files for extra in EXTRAS if extra not in wanted]
        return [
            path
            for path in self.files
            if (_module(path) in reached if path.suffix == ".py" else _stays(path, packages))
            and not any(fnmatch(path.as_posix(), pattern) for pattern in left_out)
        ]

    @cached_property
    def _modules(self) -> dict[str, Path]:
        return {_module(path): path for path in self.files if path.suffix == ".py"}

    def _reach(self, code: Imports) -> tuple[set[str], set[Extra]]:
        """Return the modules that code can import, and the extras that the code or another package needs."""
        reached: set[str] = set()
        wanted = set(code.asks_for)
        open_ = [*self._named(code), *self._native(), *(name for top in self.whole for name in self._below(top))]
        while open_:
            # Importing a module imports the packages that contain it.
            for module in _with_parents(open_.pop()):
                if module in self._modules and module not in reached:
                    reached.add(module)
                    path = self._modules[module]
                    found = read_imports((self.folder / path).read_bytes(), path.as_posix())
                    wanted |= {extra for extra in found.asks_for if extra.package != path.parts[0]}
                    open_ += self._named(found)
                    if found.dynamic:
                        open_ += self._below(_package(path))
        return reached, wanted

    def _named(self, found: Imports) -> Iterator[str]:
        yield from found.modules
        for text in found.strings:
            if (name := _NAME.fullmatch(text)) and name[1] in self._modules:
                yield name[1]
            if (beginning := _BEGINNING.fullmatch(text)) and beginning[1] in self._modules:
                yield from self._below(beginning[1])

    def _below(self, package: str) -> Iterator[str]:
        return (name for name in self._modules if name == package or name.startswith(f"{package}."))

    def _native(self) -> Iterator[str]:
        """Yield modules that native code may import: those beside it, and those whose name occurs in it."""
        for path in self.files:
            if path.name.endswith(_NATIVE_SUFFIXES):
                yield from self._below(path.parts[0])
                words = {word.decode() for word in _NATIVE_NAME.findall((self.folder / path).read_bytes())}
                yield from words & self._modules.keys()


@dataclass(frozen=True)
class Imports:
    """Modules that some code may import."""

    modules: frozenset[str]
    """Absolute names; of `from a import b` both `a` and `a.b`, which may be a module."""
    strings: frozenset[str]
    """Strings that may be a module's name, or the beginning of one."""
    dynamic: bool
    """True if names of modules are computed."""
    asks_for: frozenset[Extra] = frozenset()
    """Extras whose sign occurs in the source."""


def read_code(sources: Mapping[str, bytes]) -> Imports:
    """Return the imports of our own modules.

    A single word does not count as a module's name here: there are too many words, and our own code uses `import`.

    Args:
        sources: Path of each file, such as `services/<service>/runtime/api.py` → its content.

    Raises:
        SyntaxError: One of them is not Python.
    """
    own = {name.partition("/")[0].removesuffix(".py") for name in sources}
    found = [read_imports(source, name) for name, source in sources.items()]
    modules = {module for one in found for module in one.modules}
    return Imports(
        frozenset(name for name in modules if name.partition(".")[0] not in own | sys.stdlib_module_names),
        frozenset(text for one in found for text in one.strings if "." in text),
        any(one.dynamic for one in found),
        frozenset(extra for one in found for extra in one.asks_for),
    )


def read_imports(source: bytes, name: str) -> Imports:
    """Return the imports of a module.

    Args:
        source: Its source.
        name: Path of its file, relative to a folder on Python's path.

    Raises:
        SyntaxError: It is not Python.
    """
    reader = _Reader(_package(Path(name)))
    reader.visit(ast.parse(source, name))
    asks_for = frozenset(extra for extra in EXTRAS if extra.sign.search(source))
    return Imports(frozenset(reader.modules), frozenset(reader.strings), reader.dynamic, asks_for)


class _Reader(ast.NodeVisitor):
    def __init__(self, package: str) -> None:
        self.package = package
        self.modules: set[str] = set()
        self.strings: set[str] = set()
        self.dynamic = False

    def visit_If(self, node: ast.If) -> None:
        if _for_type_checkers(node.test):
            for statement in node.orelse:
                self.visit(statement)
        else:
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self.modules.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self.package.split(".")[: len(self.package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        self.modules.add(base)
        self.modules.update(f"{base}.{alias.name}" for alias in node.names)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and (_NAME.fullmatch(node.value) or _BEGINNING.fullmatch(node.value)):
            self.strings.add(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _DYNAMIC:
            match node.args, node.keywords:
                case [ast.Constant(value=str(name))], []:
                    self.modules.add(name)
                case _:
                    self.dynamic = True
        self.generic_visit(node)


def _for_type_checkers(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _module(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(path: Path) -> str:
    """Return the package that a file's relative imports start from."""
    return ".".join(path.parent.parts)


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _stays(path: Path, packages: set[Path]) -> bool:
    """Return True for metadata, for native code, and for data of a package that is kept."""
    top = path.parts[0]
    return top.endswith(".dist-info") or len(path.parts) == 1 or not packages.isdisjoint(path.parents)
