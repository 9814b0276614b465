"""Narrow a run to some services: the variable, and the names in it."""

from __future__ import annotations

import os
from collections.abc import Mapping

NARROWED = "SLIPWAY_SERVICES"
"""Environment variable that narrows an app to some services: their names, separated by spaces."""


def narrowed_to(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the services that a run is narrowed to; none of them: to nothing, all are built."""
    return tuple(environ.get(NARROWED, "").split())
