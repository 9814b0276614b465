"""The option `--json FILE` of the verbs: a file, or `-` for standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

STANDARD_OUTPUT: Final = Path("-")

JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", help="Write the result as JSON; `-` prints it. Default: no file.", show_default=False
    ),
]


def prints(file: Path | None) -> bool:
    """Return True if the JSON goes to standard output, so that nothing else may be printed there."""
    return file == STANDARD_OUTPUT


def forget(file: Path | None) -> None:
    """Delete the file of an earlier run, so that its result can't be mistaken for this run's."""
    if file is not None and not prints(file):
        file.unlink(missing_ok=True)


def write(content: Any, file: Path) -> None:
    """Write JSON to a file, and create its folder if it is missing.

    Args:
        content: Dictionaries, lists, text, numbers.
        file: The file; `-` is standard output.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    if prints(file):
        typer.echo(text)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{text}\n", encoding="utf-8")
