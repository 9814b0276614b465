"""The current time, and times as text that sorts chronologically."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current time."""
    return datetime.now(UTC)


def instant(moment: datetime) -> str:
    """Return a time in UTC, ISO 8601 with microseconds and `Z`: as text it sorts chronologically."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
