"""Functions' log lines are formatted for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from slipway.emulator.logs import LogLine, read_events, since
from slipway.errors import RehearsalError


class _Logs:
    """A client whose pages hold at most four events without ids, as the emulator's do."""

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    def get_paginator(self, name: str) -> _Logs:
        assert name == "filter_log_events"
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803  # boto3's names
        assert logGroupName == "group"
        return [{"events": [event for event in self._events if event["timestamp"] >= startTime][:4]}]


def test_every_event_is_read_once_without_ids() -> None:
    # Given equal messages with the same timestamp, split across two pages
    times = [1, 2, 3, 3, 3, 4, 5]
    events = [{"logStreamName": "s", "timestamp": time, "message": "same"} for time in times]

    found = list(read_events(cast("Any", _Logs(events)), "group", 0))

    assert [event["timestamp"] for event in found] == times


def _line(message: str) -> LogLine:
    return LogLine(datetime(2026, 1, 1, tzinfo=UTC), "Api", "stream", 0, message)


def test_a_record_is_shown_as_level_message_and_fields() -> None:
    line = _line('{"level":"INFO","message":"created","item_id":"7","timestamp":"now","service":"items"}')
    assert line.text == "INFO    created  item_id=7"


@pytest.mark.parametrize("message", ["plain text", "{broken", "[1]", '{"no":"message"}'])
def test_other_lines_are_shown_unchanged(message: str) -> None:
    assert _line(message + "\n").text == message


def test_an_exception_follows_its_record() -> None:
    assert _line('{"level":"ERROR","message":"m","exception":"Traceback"}').text == "ERROR   m\nTraceback"


def test_platform_lines_are_recognised() -> None:
    assert _line('{"_aws":{"Timestamp":1},"ItemsCreated":[1.0]}').is_platform
    assert _line("START RequestId: 1 Version: 2").is_platform
    assert not _line("STARTING").is_platform


def test_a_duration_counts_back_from_now() -> None:
    assert abs(datetime.now(UTC) - timedelta(minutes=10) - since("10m")) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "1w", "1m "])
def test_another_text_is_not_a_duration(text: str) -> None:
    with pytest.raises(RehearsalError, match=r"--since .* is not a duration"):
        since(text)
