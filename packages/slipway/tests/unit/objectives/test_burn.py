"""Burn rates follow the SRE workbook for any window, and a budget is 100 % less the objective."""

from __future__ import annotations

from datetime import timedelta

import pytest

from slipway.objectives import WINDOWS, Promise, promises
from slipway.objectives.burn import Indicator
from slipway.objectives.foresight import objectives_seen, time_to_detect
from slipway.settings.model import Objectives
from specimen import SETTINGS

FAST, MEDIUM, SLOW = WINDOWS
THREE_NINES = Promise(Indicator.AVAILABILITY, 99.9, 30)


def test_burn_rates_of_thirty_days_are_those_of_the_workbook() -> None:
    assert [round(window.rate(30), 6) for window in WINDOWS] == [14.4, 6, 1]


def test_short_windows_are_a_twelfth_of_the_long_ones() -> None:
    assert [window.long / window.short for window in WINDOWS] == [12, 12, 12]


def test_no_alarm_triggers_at_the_allowed_burn_rate() -> None:
    # Given a window of a week: a tenth of its budget in three days would be slower than the allowed pace
    assert SLOW.rate(7) == 1


@pytest.mark.parametrize(("window", "share"), [(FAST, 1.44), (MEDIUM, 0.6), (SLOW, 0.1)])
def test_each_alarm_has_a_share_of_bad_requests(window: object, share: float) -> None:
    assert THREE_NINES.bad_share(window) == pytest.approx(share)  # type: ignore[arg-type]


def test_a_share_is_at_most_100_percent() -> None:
    assert Promise(Indicator.AVAILABILITY, 90, 30).bad_share(FAST) == 100


def test_half_a_budget_is_left_when_half_is_used() -> None:
    assert THREE_NINES.budget_left(0.05) == pytest.approx(50)
    assert THREE_NINES.budget_left(0.2) == pytest.approx(-100)


def test_settings_promise_availability_and_latency() -> None:
    found = promises(Objectives(availability=99.5, latency_ms=300, latency_percent=95.0, window_days=7))

    assert found == (
        Promise(Indicator.AVAILABILITY, 99.5, 7),
        Promise(Indicator.LATENCY, 95.0, 7, 300),
    )


def test_a_total_outage_is_detected_within_a_minute() -> None:
    # The workbook's table: 1.44 % of an hour
    assert time_to_detect(THREE_NINES, FAST, 100) == timedelta(seconds=51.84)
    assert time_to_detect(THREE_NINES, FAST, 1) is None
    assert time_to_detect(THREE_NINES, SLOW, 1) == timedelta(days=0.3)


def test_each_alarm_of_a_promise_is_foreseen() -> None:
    lines = list(objectives_seen(SETTINGS, services=["catalog"]))

    assert len(lines) == 2 * len(WINDOWS)
    assert lines[0].startswith("prod, catalog: availability fast detects 100 % bad after 48 s, 5 % bad after 16 min;")
    assert list(objectives_seen(SETTINGS, ["dev"])) == []
