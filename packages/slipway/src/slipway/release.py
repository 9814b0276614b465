"""The release of the tool."""

from __future__ import annotations

from datetime import date
from typing import Final

RELEASED: Final = date(2026, 11, 30)
"""Day of this release; the blocks' acknowledgements hold for a year from then unless the app sets another day."""
