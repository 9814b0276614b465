"""Error budgets and burn rates, as defined in Google's SRE workbook.

https://sre.google/workbook/alerting-on-slos/, "Multiwindow, Multi-Burn-Rate Alerts": an alert is active while the
budget burns too fast over a long window and a short one, a twelfth of it, so it ends soon after the failures. The
workbook's burn rates, 14.4, 6 and 1, follow from the shares of the budget below for thirty days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from slipway.settings.model import Objectives


class Indicator(StrEnum):
    """The measured property of each request."""

    AVAILABILITY = "availability"
    """The share of requests that are answered without 5xx."""
    LATENCY = "latency"
    """The share of requests that are answered in time."""


@dataclass(frozen=True)
class BurnWindow:
    """A pair of windows, and the share of the budget that may burn in the longer one.

    Attributes:
        name: Part of the alarm's name.
        consumed: Share of the budget, 0 to 1, that burns in the long window when the alarm triggers.
        long: The longer window, which the alarm is about.
        short: The shorter window, which ends the alarm.
    """

    name: str
    consumed: float
    long: timedelta
    short: timedelta

    def rate(self, days: int) -> float:
        """Return how many times faster than allowed the budget burns when the alarm triggers.

        Args:
            days: Window of the objective.

        Returns:
            At least 1, the rate that uses the budget up exactly.
        """
        return max(1.0, self.consumed * timedelta(days=days) / self.long)


WINDOWS: Final = (
    BurnWindow("Fast", 0.02, timedelta(hours=1), timedelta(minutes=5)),
    BurnWindow("Medium", 0.05, timedelta(hours=6), timedelta(minutes=30)),
    BurnWindow("Slow", 0.10, timedelta(days=3), timedelta(hours=6)),
)
"""The workbook's table 5-8: two pairs page a person immediately, one opens a ticket for the next working day."""


@dataclass(frozen=True)
class Promise:
    """One objective of a service.

    Attributes:
        indicator: The indicator.
        percent: Share of requests that must be good, percent.
        days: Its window.
        latency_ms: Time limit of a good request; None unless the indicator is latency.
    """

    indicator: Indicator
    percent: float
    days: int
    latency_ms: int | None = None

    @property
    def budget(self) -> float:
        """Share of requests that may be bad, percent."""
        return 100 - self.percent

    def bad_share(self, window: BurnWindow) -> float:
        """Return the share of bad requests, percent, at which an alarm triggers."""
        return min(100.0, round(window.rate(self.days) * self.budget, 6))

    def budget_left(self, bad_percent: float) -> float:
        """Return the remaining budget, percent; below 0 if it is overspent.

        Args:
            bad_percent: Share of bad requests since the window began, percent.
        """
        return 100 * (1 - bad_percent / self.budget)


def promises(objectives: Objectives) -> tuple[Promise, ...]:
    """Return the objectives in a service's settings."""
    days = objectives.window_days
    return (
        Promise(Indicator.AVAILABILITY, objectives.availability, days),
        Promise(Indicator.LATENCY, objectives.latency_percent, days, objectives.latency_ms),
    )
