"""Which services a run is narrowed to: the variable, and what it names."""

from __future__ import annotations

import os
from collections.abc import Mapping

NARROWED = "SLIPWAY_SERVICES"
"""Variable that narrows an app to some services, by their names and spaces between them."""


def narrowed_to(environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the services that a run is narrowed to; none of them: to nothing, all are built."""
    return tuple(environ.get(NARROWED, "").split())
