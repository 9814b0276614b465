"""The option `--json FILE` of every verb that has it: a file, or `-` for standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

STANDARD_OUTPUT: Final = Path("-")

JsonOption = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; `-` prints it.", show_default=False),
]


def prints(file: Path | None) -> bool:
    """Return whether the JSON goes to standard output, so that nothing else may."""
    return file == STANDARD_OUTPUT


def forget(file: Path | None) -> None:
    """Delete the file that an earlier run wrote: what that run found says nothing about this one."""
    if file is not None and not prints(file):
        file.unlink(missing_ok=True)


def write(content: Any, file: Path) -> None:
    """Write JSON, and the folder of the file if it is missing.

    Args:
        content: dictionaries, lists, text, numbers.
        file: where; `-` is standard output.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if prints(file):
        typer.echo(text)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="utf-8")
