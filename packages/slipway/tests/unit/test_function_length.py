"""Functions of the tool are short enough to fit on a screen."""

from __future__ import annotations

import ast
from pathlib import Path

import slipway

SOURCES = Path(slipway.__file__).parent
MOST_LINES = 60

LONGER = {
    # The parameters are the command's options
    "review/command.py:review_change",
}


def longer(sources: Path) -> set[str]:
    """Return the functions with more lines than a function may have."""
    return {
        f"{path.relative_to(sources).as_posix()}:{node.name}"
        for path in sources.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_LINES
    }


def test_no_other_function_is_longer() -> None:
    assert longer(SOURCES) == LONGER


def test_a_longer_function_is_found(tmp_path: Path) -> None:
    body = "    pass\n" * MOST_LINES
    (tmp_path / "module.py").write_text(f"def short():\n    pass\n\n\ndef long():\n{body}", encoding="utf-8")

    assert longer(tmp_path) == {"module.py:long"}
