"""Lambda's reports are read in both formats, and sampled if there are many."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from slipway.sizing.reports import SLICES, InvocationReport, parse_report, read_reports

TEXT = (
    "REPORT RequestId: 3604209a-e9a3-11e6-939a-754dd98c7be3\tDuration: 12.34 ms\tBilled Duration: 13 ms\t"
    "Memory Size: 256 MB\tMax Memory Used: 88 MB\tInit Duration: 300.5 ms\t\n"
)


def _json(**changes: Any) -> str:
    metrics = {"durationMs": 12.34, "billedDurationMs": 13, "memorySizeMB": 256, "maxMemoryUsedMB": 88} | changes
    return json.dumps({"time": "2026-01-01T00:00:00Z", "type": "platform.report", "record": {"metrics": metrics}})


@pytest.mark.parametrize("message", [TEXT, _json()])
def test_both_formats_give_the_same_report(message: str) -> None:
    assert parse_report(message) == InvocationReport(duration=12.34, billed=13, size=256, used=88)


@pytest.mark.parametrize(
    "message",
    [
        "START RequestId: 1 Version: 3",
        '{"type": "platform.start"}',
        '{"message": "REPORT RequestId: 1"}',
        "{not json",
        "[1]",
        _json(durationMs=None),
        '{"type": "platform.report", "record": {"metrics": {}}}',
    ],
)
def test_other_events_are_ignored(message: str) -> None:
    assert parse_report(message) is None


class Logs:
    """A log group with one report per moment."""

    class exceptions:  # noqa: N801  # as boto3 calls it
        ResourceNotFoundException = LookupError

    def __init__(self, times: list[datetime] | None) -> None:
        self._times = times

    def get_paginator(self, operation: str) -> Logs:
        assert operation == "filter_log_events"
        return self

    def paginate(self, **request: Any) -> list[dict[str, Any]]:
        if self._times is None:
            raise LookupError
        found = [
            {"message": TEXT}
            for time in self._times
            if request["startTime"] <= round(time.timestamp() * 1000) <= request["endTime"]
        ]
        return [{"events": found[:2]}, {"events": found[2:]}]


START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)


def _read(times: list[datetime] | None, limit: int) -> tuple[int, bool]:
    sample = read_reports(cast("Any", Logs(times)), "/aws/lambda/name", START, END, log_format="JSON", limit=limit)
    return len(sample.reports), sample.complete


def test_each_report_of_the_period_is_read_once() -> None:
    times = [START + minute * timedelta(minutes=1) for minute in range(7 * 24 * 60)]
    assert _read(times, limit=20_000) == (7 * 24 * 60, True)


def test_a_sample_covers_every_part_of_the_period() -> None:
    times = [START + minute * timedelta(minutes=1) for minute in range(7 * 24 * 60)]
    assert _read(times, limit=3 * SLICES) == (3 * SLICES, False)


def test_a_group_that_does_not_exist_has_no_reports() -> None:
    assert _read(None, limit=100) == (0, True)
