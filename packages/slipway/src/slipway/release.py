"""The release of the tool."""

from __future__ import annotations

from datetime import date
from typing import Final

RELEASED: Final = date(2026, 11, 30)
"""Day of this release. The blocks' acknowledgements are valid for a year from this day, unless the app sets another
one."""
