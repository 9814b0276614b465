"""Write the OpenAPI document of every service from its routes: `slipway openapi [--check]`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway.project import ROOT

MODULE = Path("runtime/openapi.py")
"""Module of a service that has an API; its `DOCUMENT` is the document."""


def texts(root: Path) -> dict[Path, str]:
    """Return the path of each service's committed document, and the text that it should have.

    Args:
        root: The project.
    """
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    # A service may have been created a moment ago.
    importlib.invalidate_caches()
    folders = sorted(file.parents[1] for file in (root / "services").glob(f"*/{MODULE}"))
    return {
        folder / "openapi.json": importlib.import_module(f"services.{folder.name}.runtime.openapi").DOCUMENT.text()
        for folder in folders
    }


def write_openapi(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a document is out of date.")] = False,
) -> None:
    """Write the OpenAPI document of every service that has an API.

    Exit code: 1 if --check finds a document that is out of date.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    changed = {
        path: text
        for path, text in texts(ROOT).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }
    for path, text in changed.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        console.print(f"{path.relative_to(ROOT)} {'is out of date' if check else 'is written'}", markup=False)
    if changed and check:
        console.print("run `make openapi`", markup=False)
        raise typer.Exit(1)
