"""Describe what the alarms on objectives would detect at the configured traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from slipway.objectives.burn import WINDOWS, BurnWindow, Promise, promises
from slipway.settings import Environment, Settings

WHOLE, PART = 100.0, 5.0
"""Shares of bad requests, percent, for which the time to detection is printed."""


def objectives_seen(
    settings: Settings, environments: Sequence[str] = (), services: Sequence[str] = ()
) -> Iterator[str]:
    """Yield a sentence about each alarm on an objective.

    Args:
        settings: The objectives and the expected traffic.
        environments: Only these environments. Default: all.
        services: Only these services. Default: all.
    """
    for environment in settings.environments:
        if not environments or environment.name in environments:
            yield from _of_environment(environment, services)


def _of_environment(environment: Environment, services: Sequence[str]) -> Iterator[str]:
    for name, settings in environment.services:
        wanted = not services or name in services
        objectives = getattr(settings, "slo", None) if wanted else None
        for promise in promises(objectives) if objectives is not None else ():
            for window in WINDOWS:
                yield f"{environment.name}, {name}: {_sentence(promise, window, settings.traffic.requests_per_second)}"


def time_to_detect(promise: Promise, window: BurnWindow, bad_percent: float) -> timedelta | None:
    """Return how long a share of bad requests must last until an alarm triggers; None if it never does.

    The long window fills up with bad requests. At a steady rate this takes the window's length times
    the alarm's share divided by the bad share (https://sre.google/workbook/alerting-on-slos/, "detection time").

    Args:
        promise: The objective.
        window: Its pair of windows.
        bad_percent: Share of requests that are bad, percent.
    """
    share = promise.bad_share(window)
    return window.long * (share / bad_percent) if bad_percent >= share else None


def _sentence(promise: Promise, window: BurnWindow, requests_per_second: float) -> str:
    share = promise.bad_share(window)
    needed = requests_per_second * window.long.total_seconds() * share / 100
    seen = [
        f"{bad:g} % bad after {_said(after)}" if after is not None else f"{bad:g} % bad never"
        for bad in (WHOLE, PART)
        for after in [time_to_detect(promise, window, bad)]
    ]
    weak = "; so few requests that a single bad one triggers it" if needed <= 1 else ""
    return (
        f"{promise.indicator} {window.name.lower()} detects {', '.join(seen)}; "
        f"it takes {max(1, round(needed)):,} bad requests{weak}."
    )


def _said(length: timedelta) -> str:
    minutes = length.total_seconds() / 60
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"
