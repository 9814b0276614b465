"""An app of the tool's own, on which its tests run: they know no service and no figure of the app around them.

The specimen's services use every block between them. What it borrows from the app is the order of the delivery and
the composition of stages and stacks (`pipeline/`, `stages/`, `stacks/`, `cdk.json`): without those the tool has nothing
to build.

`specimen.delivery` holds what its `app.py` does. In this process the services are `specimen.services.<name>`; a copy
made by `checkout` is a project of its own, in which they are `services.<name>`.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Final

from slipway import settings as config
from slipway.project import ROOT
from slipway.settings import Settings
from slipway.settings.services import Models
from specimen.services.catalog.settings import CatalogSettings
from specimen.services.intake.settings import IntakeSettings
from specimen.services.studio.settings import StudioSettings
from specimen.services.sweep.settings import SweepSettings

PROJECT: Final = Path(__file__).parent
FOLDER: Final = PROJECT / "config"
"""`pipeline.toml` and one file for each environment, with accounts, addresses and names that the app does not use."""

MODELS: Final[Models] = {
    "catalog": CatalogSettings,
    "intake": IntakeSettings,
    "studio": StudioSettings,
    "sweep": SweepSettings,
}

SETTINGS: Final[Settings] = config.load(FOLDER, services=MODELS)
DEV, STAGING, PROD = SETTINGS.environments

_SHARED = (
    "cdk.json",
    "docs",
    "node_modules",
    "package.json",
    "packages",
    "pipeline",
    "pyproject.toml",
    "requirements",
    "stacks",
    "stages",
)


def install() -> None:
    """Make `load()` read the specimen in this process, so that code under test cannot see the app's configuration."""
    # The package's attribute of that name is the function.
    module = vars(importlib.import_module("slipway.settings.load"))
    module["CONFIG_FOLDER"] = FOLDER
    module["discover"] = lambda: MODELS


def checkout(folder: Path) -> Path:
    """Write the specimen as a project of its own.

    Args:
        folder: is made; it may be there if it is empty.

    Returns:
        The folder, with what the specimen borrows linked into it.
    """
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "delivery.py"):
        (folder / name).unlink()
    for name in _SHARED:
        (folder / name).symlink_to(ROOT / name)
    return folder
