"""Paths that the rehearsal reads and writes. Everything it writes is under `build/`."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from slipway import project

ROOT = project.ROOT
ASSEMBLY = ROOT / "cdk.out"
ASSETS = ROOT / "build" / "assets"
LOCAL = ROOT / "build" / "local"
TLS = LOCAL / "tls"
OUTPUTS = LOCAL / "outputs.json"
"""Outputs of the environment that was brought up last: service → output → value."""


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a file whole or not at all, so that no reader meets half of it.

    Args:
        path: The file; its folder is made.
        text: What it shall hold.
        mode: Permission bits. Default: readable by everyone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, staging = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(staging).chmod(mode)
        Path(staging).replace(path)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Any, *, mode: int = 0o644) -> None:
    """Write JSON whole or not at all; the arguments are those of `write_text`."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n", mode=mode)


def read_json(path: Path) -> Any:
    """Read JSON, or None when there is no such file or a killed run left half of it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
