"""The release of the tool."""

from __future__ import annotations

from datetime import date
from typing import Final

RELEASED: Final = date(2026, 11, 30)
"""The day of this release; what it excuses holds for a year from then unless the app says otherwise."""
