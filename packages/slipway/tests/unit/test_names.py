"""Class names are unique in the tool: one name, one concept."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import slipway

SOURCES = Path(slipway.__file__).parent


def classes(tree: ast.Module) -> set[str]:
    """Return the classes of a module that others may import."""
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")}


def shared(sources: Path) -> dict[str, list[str]]:
    """Return the class names that several modules define."""
    owners: dict[str, list[str]] = defaultdict(list)
    for path in sorted(sources.rglob("*.py")):
        for name in classes(ast.parse(path.read_text(encoding="utf-8"))):
            owners[name].append(path.relative_to(sources).as_posix())
    return {name: paths for name, paths in owners.items() if len(paths) > 1}


def test_no_two_modules_define_a_class_of_one_name() -> None:
    assert shared(SOURCES) == {}


def test_a_second_class_of_a_name_is_found(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / f"{name}.py").write_text("class Stack: ...\nclass _Model: ...\n", encoding="utf-8")

    assert shared(tmp_path) == {"Stack": ["one.py", "other.py"]}
