"""Virtual time: the real duration of the work here, plus AWS's waiting times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from slipway.settings import Settings
from slipway.settings.model import DeploymentWindow
from slipway.settings.time_zones import time_zone

REST = timedelta(minutes=5)
"""Virtual time between two executions: an old bug may be played in the minutes before the later one."""


class VirtualClock:
    """The time of one action, or of one deployment in it.

    Work takes real time; a wait is only added.

    Args:
        start: Virtual time of its start.
    """

    def __init__(self, start: datetime) -> None:
        self.start = start
        self._real = time.monotonic()
        self._waited = timedelta()

    @property
    def now(self) -> datetime:
        """The current virtual time."""
        return self.start + timedelta(seconds=time.monotonic() - self._real) + self._waited

    @property
    def seconds(self) -> float:
        """Virtual seconds since it began."""
        return (self.now - self.start).total_seconds()

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._waited += timedelta(seconds=seconds)


ROOM_HOURS = 3
"""Virtual hours in which an execution reaches its last environment: canaries and bakes take most of them."""


def office_hours(settings: Settings, now: datetime | None = None, *, after: datetime | None = None) -> datetime:
    """Return a time at which an execution meets every configured deployment window.

    Args:
        settings: All of `config/`.
        now: The current time. Default: the machine's.
        after: The accounts' last virtual time. Their time must never go back, because of two states of an alarm the
            later one counts. Default: the accounts are new.

    Returns:
        Now, or the next full hour, in UTC, at which every window is open for `ROOM_HOURS` more. If windows are too
        short for that: now or the next full hour at which they are open.
    """
    windows = [each.deployment.window for each in settings.environments if each.deployment.window is not None]
    present = now or datetime.now(UTC)
    present = max(present, after + REST) if after else present
    present = present.replace(microsecond=0)
    full_hour = present.replace(minute=0, second=0)
    moments = [present, *(full_hour + timedelta(hours=hours) for hours in range(1, 24 * 8))]
    for hours in (ROOM_HOURS, 0):
        for moment in moments:
            if all(_is_open(window, moment + timedelta(hours=each)) for window in windows for each in range(hours + 1)):
                return moment
    # If two windows have no hour in common, there is no such time, and the pipeline reports it.
    return present


def _is_open(window: DeploymentWindow, moment: datetime) -> bool:
    local = moment.astimezone(time_zone(window.time_zone))
    return local.strftime("%a").upper() in window.days and window.from_hour <= local.hour < window.to_hour
