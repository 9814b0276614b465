"""Deployment windows: cron expressions are read as by CodePipeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import specimen
from slipway.delivery.conditions import window
from slipway.errors import RehearsalError
from slipway.rehearsal.player.clock import ROOM_HOURS, VirtualClock, office_hours
from slipway.rehearsal.player.rules import is_in_window, opens_at
from slipway.settings.model import DeploymentWindow

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""Ten o'clock in New York, four in Berlin."""

_DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


def opens(cron: str, *, zone: str = "UTC", at: datetime = FRIDAY) -> bool:
    """Return True if a window is open."""
    return is_in_window({"Cron": cron, "TimeZone": zone}, at)


@pytest.mark.parametrize(
    ("cron", "is_open"),
    [
        ("* * * * * ?", True),
        ("* * 9-15 ? * MON,TUE,WED,THU,FRI", True),
        ("* * 9-14 ? * MON-FRI", False),
        ("* * 15 ? * FRI", True),
        ("* * 15 ? * fri", True),
        ("* * 15 ? * 6", True),
        ("* * 15 ? * 5", False),
        ("* * 15 ? * SAT,SUN", False),
        ("* 0 15 20 11 ?", True),
        ("* 1 15 20 11 ?", False),
        ("* * * 20 NOV ?", True),
        ("* * * 20 DEC ?", False),
        ("* * * 1-19 * ?", False),
        ("* * * ? * * 2026", True),
        ("* * * ? * * 2027", False),
        ("* * * ? * * 2025-2027", True),
        # Seconds are accepted but ignored
        ("30 0 15 ? * *", True),
    ],
)
def test_each_field_matches_or_not(cron: str, is_open: bool) -> None:
    assert opens(cron) is is_open


@pytest.mark.parametrize(
    ("cron", "is_open"),
    [
        ("* 0/15 * ? * *", True),
        ("* 5/15 * ? * *", False),
        ("* */7 * ? * *", True),
        ("* * 3/12 ? * *", True),
        ("* * 4/12 ? * *", False),
        ("* * 9-17/3 ? * *", True),
        ("* * 9-17/4 ? * *", False),
        # Fields that start at one also step from one: 1, 3, 5 …, not 2, 4, 6
        ("* * * */2 * ?", False),
        ("* * * ? */2 *", True),
        ("* * * ? * */2", False),
        ("* * * ? * */5", True),
        ("* * * ? * * */2", True),
        ("* * * ? * * */3", False),
    ],
)
def test_steps_count_from_where_the_field_begins(cron: str, is_open: bool) -> None:
    assert opens(cron) is is_open


@pytest.mark.parametrize(
    ("cron", "is_open"),
    [
        ("* * 22-3 ? * *", False),
        ("* * 14-3 ? * *", True),
        # The last hour of a range is open too
        ("* * 22-15 ? * *", True),
        ("* * ? ? * FRI-MON", True),
        ("* * ? ? * SAT-MON", False),
        ("* * ? ? OCT-JAN *", True),
        ("* * ? ? DEC-OCT *", False),
    ],
)
def test_a_range_may_wrap_around(cron: str, is_open: bool) -> None:
    assert opens(cron) is is_open


@pytest.mark.parametrize(("day", "number"), [(day, number + 1) for number, day in enumerate(("SUN", *_DAYS[:-1]))])
def test_each_day_of_the_week_has_its_name_and_number(day: str, number: int) -> None:
    # Given a week that starts on a Sunday
    sunday = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)

    for named in (day, str(number)):
        found = [opens(f"* * * ? * {named}", at=sunday + timedelta(days=later)) for later in range(7)]
        assert found == [later == number - 1 for later in range(7)]


@pytest.mark.parametrize(
    ("zone", "hour"),
    [("America/New_York", 10), ("Europe/Berlin", 16), ("UTC-05:00", 10), ("Asia/Kolkata", 20), ("UTC", 15)],
)
def test_the_window_is_in_its_own_time_zone(zone: str, hour: int) -> None:
    assert opens(f"* * {hour} ? * FRI", zone=zone)
    assert not opens(f"* * {hour + 1} ? * FRI", zone=zone)


def test_the_day_is_that_of_the_time_zone_too() -> None:
    assert opens("* * ? ? * SAT", zone="Pacific/Auckland")
    assert opens("* * ? ? * FRI")


def test_without_a_time_zone_it_is_utc() -> None:
    assert is_in_window({"Cron": "* * 15 ? * *"}, FRIDAY)


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("* * *", "has 3 fields, not 6 or 7"),
        ("* * * * * * * *", "has 8 fields, not 6 or 7"),
        ("* * * ? * FRIDAY", "'FRIDAY' in the cron expression .* is unknown"),
        ("* * * L * ?", "'L' in the cron expression .* is unknown"),
        ("* * * ? * FRI#2", "'FRI#2' in the cron expression .* is invalid"),
        ("* */0 * ? * *", r"'\*/0' in the cron expression .* is invalid"),
        ("* * 9- ? * *", "'9-' in the cron expression .* is invalid"),
        ("* * 22-3/2 ? * *", "'22-3/2' in the cron expression .* is not supported: it exceeds the range in steps"),
        ("* * , ? * *", "'' in the cron expression .* is invalid"),
    ],
)
def test_an_unreadable_window_is_reported(cron: str, message: str) -> None:
    with pytest.raises(RehearsalError, match=message):
        opens(cron)


@pytest.mark.parametrize(
    ("cron", "opens"),
    [
        ("* * 9-10 ? * *", datetime(2026, 11, 21, 9, 0, tzinfo=UTC)),
        # Not in the hour that has already started
        ("* * 15 ? * FRI", datetime(2026, 11, 27, 15, 0, tzinfo=UTC)),
        ("* 1 * ? * *", None),
        ("* * * ? * * 2025", None),
    ],
)
def test_a_window_opens_at_a_full_hour_within_a_week(cron: str, opens: datetime | None) -> None:
    assert opens_at({"Cron": cron}, FRIDAY.replace(minute=20, second=7, microsecond=3)) == opens


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd", "a\0b", "America/Argentina/Buenos_Aires"])
def test_an_unknown_time_zone_is_reported(zone: str) -> None:
    with pytest.raises(RehearsalError, match="CodePipeline refuses the deployment window: time_zone"):
        opens("* * * * * ?", zone=zone)


_WINDOWS = st.builds(
    # Validation takes a tenth of a second, since it looks up all time zones of the machine
    lambda days, hours, zone: DeploymentWindow.model_construct(
        days=tuple(sorted(days, key=_DAYS.index)), from_hour=hours[0], to_hour=hours[1], time_zone=zone
    ),
    st.sets(st.sampled_from(_DAYS), min_size=1),
    st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda hours: hours[0] < hours[1]),
    st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
)
_MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@settings(deadline=None)
@given(configured=_WINDOWS, moment=_MOMENTS)
def test_a_configured_window_is_open_when_it_says(configured: DeploymentWindow, moment: datetime) -> None:
    local = moment.astimezone(ZoneInfo(configured.time_zone))
    expected = _DAYS[local.weekday()] in configured.days and configured.from_hour <= local.hour < configured.to_hour
    assert is_in_window(window(configured).configuration, moment) is expected


# --- The start of a rehearsal ---


_SETTINGS = specimen.SETTINGS


@settings(deadline=None)
@given(moment=_MOMENTS)
def test_a_rehearsal_begins_when_every_window_is_open(moment: datetime) -> None:
    start = office_hours(_SETTINGS, moment)
    assert timedelta() <= start - moment.replace(microsecond=0) <= timedelta(days=8)
    for environment in _SETTINGS.environments:
        if (its := environment.deployment.window) is not None:
            assert is_in_window(window(its).configuration, start)


def test_a_moment_within_the_windows_is_kept() -> None:
    start = office_hours(_SETTINGS, datetime(2026, 11, 18, 3, 20, 15, tzinfo=UTC))
    within = start + timedelta(minutes=7, seconds=3)
    assert office_hours(_SETTINGS, within) == within


def test_an_execution_has_time_before_the_windows_close() -> None:
    # Given a moment one hour before all windows close
    opens = office_hours(_SETTINGS, datetime(2026, 11, 18, 3, tzinfo=UTC))
    last = max(hour for hour in range(24) if _all_open(opens + timedelta(hours=hour)))
    late = opens + timedelta(hours=last)

    start = office_hours(_SETTINGS, late)

    assert start > late
    assert all(_all_open(start + timedelta(hours=hours)) for hours in range(ROOM_HOURS + 1))


def test_a_short_window_is_used_if_necessary() -> None:
    *others, last = _SETTINGS.environments
    assert last.deployment.window is not None
    short = last.deployment.window.model_copy(update={"to_hour": last.deployment.window.from_hour + 1})
    deployment = last.deployment.model_copy(update={"window": short})
    narrow = _SETTINGS.model_copy(
        update={"environments": (*others, last.model_copy(update={"deployment": deployment}))}
    )

    start = office_hours(narrow, datetime(2026, 11, 18, 3, tzinfo=UTC))

    assert is_in_window(window(short).configuration, start)


def _all_open(moment: datetime) -> bool:
    windows = [each.deployment.window for each in _SETTINGS.environments if each.deployment.window is not None]
    return all(is_in_window(window(each).configuration, moment) for each in windows)


def test_the_time_of_accounts_never_goes_back() -> None:
    # Given accounts whose virtual time has reached tomorrow
    now = datetime(2026, 11, 18, 3, 20, 15, tzinfo=UTC)
    lived = office_hours(_SETTINGS, now + timedelta(days=1))

    # When the next rehearsal starts
    start = office_hours(_SETTINGS, now, after=lived)

    # Then it starts later than that
    assert lived < start < lived + timedelta(days=8)


# --- Virtual time ---


def test_a_virtual_wait_takes_no_real_time() -> None:
    clock = VirtualClock(FRIDAY)
    clock.wait(3600)
    clock.wait(0.5)
    assert 3600.5 <= clock.seconds < 3660
    assert clock.now - FRIDAY >= timedelta(seconds=3600.5)
    assert clock.start == FRIDAY
