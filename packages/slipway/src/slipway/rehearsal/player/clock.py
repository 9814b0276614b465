"""Virtual time: as long as the work took here, and as long as AWS would have waited."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from slipway.settings import Settings
from slipway.settings.model import DeploymentWindow
from slipway.settings.time_zones import time_zone

REST = timedelta(minutes=5)
"""Between two executions: an old bug may be played in the minutes before the later one."""


class VirtualClock:
    """The time of one action, or of one deployment in it.

    Real work passes in real time; a wait is added and not waited for.

    Args:
        start: Virtual moment at which it begins.
    """

    def __init__(self, start: datetime) -> None:
        self.start = start
        self._real = time.monotonic()
        self._waited = timedelta()

    @property
    def now(self) -> datetime:
        """The virtual moment."""
        return self.start + timedelta(seconds=time.monotonic() - self._real) + self._waited

    @property
    def seconds(self) -> float:
        """Virtual seconds since it began."""
        return (self.now - self.start).total_seconds()

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._waited += timedelta(seconds=seconds)


def office_hours(settings: Settings, now: datetime | None = None, *, after: datetime | None = None) -> datetime:
    """Return a time at which an execution meets every configured deployment window.

    Args:
        settings: All of `config/`.
        now: The present. Default: the machine's.
        after: The moment up to which the accounts have lived: of two states of an alarm they know the later one, so
            their time never goes back. Default: they are new.

    Returns:
        Now, or the first full hour after it in which every window is open, in UTC.
    """
    windows = [each.deployment.window for each in settings.environments if each.deployment.window is not None]
    present = now or datetime.now(UTC)
    present = max(present, after + REST) if after else present
    present = present.replace(microsecond=0)
    full_hour = present.replace(minute=0, second=0)
    moments = [present, *(full_hour + timedelta(hours=hours) for hours in range(1, 24 * 8))]
    # Two windows may have no hour in common; then no moment serves, and the pipeline says so.
    return next((moment for moment in moments if all(_is_open(window, moment) for window in windows)), present)


def _is_open(window: DeploymentWindow, moment: datetime) -> bool:
    local = moment.astimezone(time_zone(window.time_zone))
    return local.strftime("%a").upper() in window.days and window.from_hour <= local.hour < window.to_hour
