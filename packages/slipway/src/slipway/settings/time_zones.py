"""Time zones that CodePipeline accepts in a deployment window: not every name in the IANA database."""

from __future__ import annotations

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

GRAMMAR = "Region/City or Region/City_City, UTC, UTC+hh:mm or UTC-hh:mm, or an abbreviation of three to five letters"
"""Valid values of `TimeZone`, from
https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html.
"""

_NAMED = re.compile(r"[A-Za-z]+/[A-Za-z]+(_[A-Za-z]+)?|[A-Z]{3,5}")
_OFFSET = re.compile(r"UTC(?P<sign>[+-])(?P<hours>0\d|1[0-4]):(?P<minutes>[0-5]\d)")


def time_zone(name: str) -> tzinfo:
    """Return the time zone of a name that CodePipeline accepts.

    Args:
        name: Such as `Europe/Berlin`, `UTC`, `UTC-05:00` or `EST`.

    Raises:
        ValueError: CodePipeline does not accept it, or the zone does not exist.
    """
    if name == "UTC":
        return UTC
    if offset := _OFFSET.fullmatch(name):
        distance = timedelta(hours=int(offset["hours"]), minutes=int(offset["minutes"]))
        return timezone(distance if offset["sign"] == "+" else -distance)
    if not _NAMED.fullmatch(name):
        raise ValueError(f"time_zone {name!r} is not accepted by CodePipeline; use {GRAMMAR}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"time_zone {name!r} is not in the IANA time zone database") from None
