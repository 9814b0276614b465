"""Limit a run to some services, by an environment variable."""

from __future__ import annotations

import os
from collections.abc import Mapping

NARROWED = "SLIPWAY_SERVICES"
"""Environment variable that limits an app to some services: their names, separated by spaces."""


def narrowed_to(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the services that a run is limited to; empty if it isn't limited."""
    return tuple(environ.get(NARROWED, "").split())
