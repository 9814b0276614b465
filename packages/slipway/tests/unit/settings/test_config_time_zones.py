"""The time zones of a deployment window are those that CodePipeline accepts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from slipway.settings.time_zones import time_zone

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("UTC", 0.0),
        ("Europe/Berlin", 2.0),
        ("America/New_York", -4.0),
        ("UTC-05:00", -5.0),
        ("UTC+05:45", 5.75),
        ("EST", -5.0),
    ],
)
def test_every_documented_form_is_accepted(name: str, hours: float) -> None:
    assert SUMMER.astimezone(time_zone(name)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "name",
    [
        *("America/Argentina/Buenos_Aires", "America/Port-au-Prince", "America/Port_of_Spain", "Etc/GMT+5"),
        *("UTC+5", "UTC+15:00", "UTC+05:60", "Zulu", "utc", "", "../UTC"),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not accepted by CodePipeline; use Region/City"):
        time_zone(name)


@pytest.mark.parametrize("name", ["Mars/Olympus", "ABCDE"])
def test_unknown_zones_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not in the IANA time zone database"):
        time_zone(name)
