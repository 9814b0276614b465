"""Error budgets and how fast they burn, as Google's SRE workbook counts them.

https://sre.google/workbook/alerting-on-slos/, "Multiwindow, Multi-Burn-Rate Alerts": an alert triggers while a share of
the budget is burning over a long window and still over a short one, a twelfth of it, so that it ends soon after the
failures do. The workbook's burn rates, 14.4, 6 and 1, are those shares for a budget of thirty days.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from slipway.settings.model import Objectives


class Indicator(StrEnum):
    """What is measured of each request."""

    AVAILABILITY = "availability"
    """The share of requests that are answered without 5xx."""
    LATENCY = "latency"
    """The share of requests that are answered in time."""


@dataclass(frozen=True)
class BurnWindow:
    """A pair of windows, and how much of the budget may burn in the longer one.

    Attributes:
        name: What the alarm is called by.
        consumed: Share of the budget, 0 to 1, that burns in the long window when the alarm triggers.
        long: The window that the alarm is about.
        short: The window that ends it.
    """

    name: str
    consumed: float
    long: timedelta
    short: timedelta

    def rate(self, days: int) -> float:
        """Return how many times faster than allowed the budget burns when the alarm triggers.

        Args:
            days: Over which the objective holds.

        Returns:
            At least 1: a budget may burn at the pace that uses it up exactly.
        """
        return max(1.0, self.consumed * timedelta(days=days) / self.long)


WINDOWS: Final = (
    BurnWindow("Fast", 0.02, timedelta(hours=1), timedelta(minutes=5)),
    BurnWindow("Medium", 0.05, timedelta(hours=6), timedelta(minutes=30)),
    BurnWindow("Slow", 0.10, timedelta(days=3), timedelta(hours=6)),
)
"""The workbook's table 5-8: two that call for a person at once, one for the next working day."""


@dataclass(frozen=True)
class Promise:
    """One objective of a service.

    Attributes:
        indicator: What is measured.
        percent: Share of requests that must be good, percent.
        days: Over which it holds.
        latency_ms: Within which a request is in time; None if latency is not what is measured.
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
        """Return what is left of the budget, percent of it; below 0 if more is used than there was.

        Args:
            bad_percent: Share of bad requests since the window began, percent.
        """
        return 100 * (1 - bad_percent / self.budget)


def promises(objectives: Objectives) -> tuple[Promise, ...]:
    """Return the promises in a service's settings."""
    days = objectives.window_days
    return (
        Promise(Indicator.AVAILABILITY, objectives.availability, days),
        Promise(Indicator.LATENCY, objectives.latency_percent, days, objectives.latency_ms),
    )
