"""Rules of stage conditions, as the player evaluates them.

https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from slipway.errors import RehearsalError
from slipway.settings.time_zones import time_zone


class Window(StrEnum):
    """Behaviours of the rule `DeploymentWindow` outside its window: CodePipeline's documentation does not say.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html
    """

    FAILS = "fails"
    """The execution fails at once."""
    WAITS = "waits"
    """The stage is held until the window opens."""


_LONGEST_WAIT = timedelta(days=8)
"""Maximum wait for a window: one of days and hours opens within a week."""


def opens_at(configuration: Mapping[str, str], moment: datetime) -> datetime | None:
    """Return the first full hour after a time that is in a `DeploymentWindow`, at most a week later, or None.

    Args:
        configuration: Configuration of the rule.
        moment: The time.
    """
    hour = moment.replace(minute=0, second=0, microsecond=0)
    hours = (hour + timedelta(hours=number) for number in range(1, int(_LONGEST_WAIT / timedelta(hours=1))))
    return next((each for each in hours if is_in_window(configuration, each)), None)


_OPEN = 9_999
"""Greater than any value of a field."""
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def is_in_window(configuration: Mapping[str, str], moment: datetime) -> bool:
    """Return True if a time is in a `DeploymentWindow`.

    Args:
        configuration: Configuration of the rule: `Cron` with seconds, minutes, hours, day of the month, month, day of
            the week (and year), and `TimeZone`.
        moment: The time.

    Raises:
        RehearsalError: The expression is invalid, or the time zone does not exist.
    """
    cron, zone = configuration["Cron"], configuration.get("TimeZone", "UTC")
    try:
        local = moment.astimezone(time_zone(zone))
    except ValueError as error:
        raise RehearsalError(f"CodePipeline refuses the deployment window: {error}") from None
    fields = cron.split()
    if len(fields) not in {6, 7}:
        raise RehearsalError(f"the cron expression {cron!r} has {len(fields)} fields, not 6 or 7")
    values = (local.second, local.minute, local.hour, local.day, local.month, local.isoweekday() % 7 + 1, local.year)
    # Seconds are required, but ignored.
    return all(
        _meets(field, value, place, cron)
        for field, value, place in list(zip(fields, values, _FIELDS, strict=False))[1:]
    )


@dataclass(frozen=True)
class _Field:
    """A field: its first value, and the names of its values."""

    first: int
    names: tuple[str, ...] = ()


_FIELDS = (_Field(0), _Field(0), _Field(0), _Field(1), _Field(1, _MONTHS), _Field(1, _DAYS), _Field(1970))


def _meets(text: str, value: int, field: _Field, cron: str) -> bool:
    if text in {"*", "?"}:
        return True
    return any(_in_part(part, value, field, cron) for part in text.split(","))


def _in_part(part: str, value: int, field: _Field, cron: str) -> bool:
    match = re.fullmatch(r"(?P<from>\w+|\*)(?:-(?P<to>\w+))?(?:/(?P<step>[1-9]\d*))?", part)
    if match is None:
        raise RehearsalError(f"{part!r} in the cron expression {cron!r} is invalid")
    first = field.first if match["from"] == "*" else _number(match["from"], field, cron)
    if match["to"]:
        last = _number(match["to"], field, cron)
    else:
        last = _OPEN if match["from"] == "*" or match["step"] else first
    if last < first:
        # A range may wrap around: 22-3 are the hours of a night.
        if match["step"]:
            raise RehearsalError(
                f"{part!r} in the cron expression {cron!r} is not supported: it exceeds the range in steps"
            )
        return value >= first or value <= last
    return first <= value <= last and (value - first) % int(match["step"] or 1) == 0


def _number(text: str, field: _Field, cron: str) -> int:
    if text.isdigit():
        return int(text)
    if text.upper() in field.names:
        return field.names.index(text.upper()) + 1
    raise RehearsalError(f"{text!r} in the cron expression {cron!r} is unknown")
