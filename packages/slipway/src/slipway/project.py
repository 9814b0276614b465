"""Find the project that the tool works on: the folder with `cdk.json`, and its fixed paths."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "SLIPWAY_PROJECT"
"""Environment variable that names the project's folder. Default: found from the working directory."""

MARK = "cdk.json"
"""The file that every CDK project has at its root."""


ROOT: Path
"""The project of this process."""

ASSEMBLY: Path
ASSETS: Path
LOCAL: Path
"""Folder of the emulator's data: accounts, certificates, outputs."""

TLS: Path
OUTPUTS: Path
"""Outputs of the last environment that was started: service → output → value."""


def find_root(start: Path | None = None) -> Path:
    """Return the root of the project.

    Args:
        start: Where to begin. Default: `SLIPWAY_PROJECT`, else the working directory.

    Returns:
        The nearest folder, from `start` upwards, with `cdk.json`; `start` itself without such a folder.
    """
    here = (start or Path(os.environ.get(VARIABLE) or Path.cwd())).resolve()
    return next((folder for folder in (here, *here.parents) if (folder / MARK).is_file()), here)


def use(root: Path) -> None:
    """Set the project of this process. Modules that are imported later derive their paths from it."""
    global ROOT, ASSEMBLY, ASSETS, LOCAL, TLS, OUTPUTS  # noqa: PLW0603 - a process works on one project
    ROOT = root
    ASSEMBLY = root / "cdk.out"
    ASSETS = root / "build" / "assets"
    LOCAL = root / "build" / "local"
    TLS = LOCAL / "tls"
    OUTPUTS = LOCAL / "outputs.json"


def has_configuration(root: Path) -> bool:
    """Return True if a project is an app that uses this tool, and False for any other CDK app.

    Args:
        root: The project.
    """
    return (root / "config" / "pipeline.toml").is_file()


def own_packages(checkout: Path) -> dict[str, str]:
    """Return the environment variable that makes a checkout run its own packages.

    Args:
        checkout: Root of a checkout, of any revision.

    Returns:
        `PYTHONPATH`; empty if the checkout contains no packages.
    """
    sources = sorted(map(str, checkout.glob("packages/*/src")))
    return {"PYTHONPATH": os.pathsep.join(sources)} if sources else {}


use(find_root())
