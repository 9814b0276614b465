"""The configuration that tests use: one of their own, so that no value of `config/` is anybody's test.

What holds for whatever is committed stands in `tests/test_committed.py`, and nowhere else.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final

import tomli_w

from slipway import settings as config
from slipway.project import ROOT
from slipway.settings import Settings
from slipway.settings.services import discover

WRITTEN: Final = Path(__file__).parent / "fixtures" / "config"
"""`pipeline.toml` and one file for each environment, with accounts, addresses and names that `config/` has not."""

_fitted = tempfile.TemporaryDirectory()


def _read(file: Path) -> dict[str, Any]:
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _fit(folder: Path) -> Path:
    """Copy the files for the services that there are: a removed one is left out, a new one is as it is configured."""
    pipeline = _read(WRITTEN / "pipeline.toml")
    first = _read(ROOT / "config" / "pipeline.toml")["environments"][0]
    configured = _read(ROOT / "config" / f"{first}.toml")["services"]
    for file in WRITTEN.glob("*.toml"):
        document = _read(file)
        if file.stem in pipeline["environments"]:
            tables = document["services"]
            document["services"] = {name: tables.get(name) or configured[name] for name in discover()}
        (folder / file.name).write_text(tomli_w.dumps(document), encoding="utf-8")
    return folder


FOLDER: Final = _fit(Path(_fitted.name))
"""The same for the services that there are."""

SETTINGS: Final[Settings] = config.load(FOLDER)
DEV, STAGING, PROD = SETTINGS.environments


def install() -> None:
    """Make `load()` read the specimen in this process, so that code under test cannot see `config/`."""
    # The package's attribute of that name is the function.
    sys.modules["slipway.settings.load"].__dict__["CONFIG_FOLDER"] = FOLDER
