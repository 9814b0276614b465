"""The configuration that tests use: one of their own, so that no value of `config/` is anybody's test.

What holds for whatever is committed stands in `tests/test_committed.py`, and nowhere else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from slipway import settings as config
from slipway.settings import Settings

FOLDER: Final = Path(__file__).parent / "fixtures" / "config"
"""`pipeline.toml` and one file for each environment, with accounts, addresses and names that `config/` has not."""

SETTINGS: Final[Settings] = config.load(FOLDER)
DEV, STAGING, PROD = SETTINGS.environments


def install() -> None:
    """Make `load()` read the specimen in this process, so that code under test cannot see `config/`."""
    # The package's attribute of that name is the function.
    sys.modules["slipway.settings.load"].__dict__["CONFIG_FOLDER"] = FOLDER
