"""Read the reports that Lambda writes into a function's log, one per invocation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

PATTERNS: Final = {"Text": '"REPORT RequestId"', "JSON": '{ $.type = "platform.report" }'}
"""Log format of a function → filter of CloudWatch Logs for its reports.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

SLICES: Final = 168
"""Parts of the period that are read separately, one per hour of a week, so that a sample covers all of it."""

_TEXT = re.compile(
    r"^REPORT RequestId: \S+\s+Duration: (?P<duration>[\d.]+) ms\s+Billed Duration: (?P<billed>[\d.]+) ms\s+"
    r"Memory Size: (?P<size>\d+) MB\s+Max Memory Used: (?P<used>\d+) MB"
)


@dataclass(frozen=True)
class InvocationReport:
    """Resources used by one invocation.

    Attributes:
        duration: Milliseconds that the handler ran.
        billed: Milliseconds that AWS bills.
        size: Memory of the function, in MB.
        used: Most memory that its environment had used so far, in MB.
    """

    duration: float
    billed: float
    size: int
    used: int


def parse_report(message: str) -> InvocationReport | None:
    """Return the report in a log event; None if it contains none.

    Args:
        message: Text of the event, in Lambda's plain format or in its JSON format
            (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html).
    """
    if found := _TEXT.match(message):
        return InvocationReport(
            float(found["duration"]), float(found["billed"]), int(found["size"]), int(found["used"])
        )
    if not message.startswith("{"):
        return None
    try:
        event = json.loads(message)
    except json.JSONDecodeError:
        return None
    if not isinstance(event, dict) or event.get("type") != "platform.report":
        return None
    metrics: dict[str, Any] = event.get("record", {}).get("metrics", {})
    try:
        return InvocationReport(
            duration=float(metrics["durationMs"]),
            billed=float(metrics["billedDurationMs"]),
            size=int(metrics["memorySizeMB"]),
            used=int(metrics["maxMemoryUsedMB"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Sample:
    """Reports of a function.

    Attributes:
        reports: The reports, at most the limit.
        complete: False if there were more.
    """

    reports: tuple[InvocationReport, ...]
    complete: bool


def read_reports(
    logs: CloudWatchLogsClient, group: str, start: datetime, end: datetime, *, log_format: str, limit: int
) -> Sample:
    """Read a sample of a function's reports that covers a whole period.

    `FilterLogEvents` costs nothing, and CloudWatch Logs Insights bills what it scans
    (https://aws.amazon.com/cloudwatch/pricing/): so a busy function's reports are sampled, the first of each slice.

    Args:
        logs: Client of CloudWatch Logs.
        group: Log group of the function; one that doesn't exist yet has no reports.
        start: Start of the period.
        end: Its end.
        log_format: Log format of the function, `Text` or `JSON`.
        limit: Maximum number of reports.
    """
    found: list[InvocationReport] = []
    complete = True
    of_slice = max(1, limit // SLICES)
    width = (end - start) / SLICES
    try:
        for number in range(SLICES):
            begin = start + number * width
            taken = 0
            end_of_slice = begin + width - timedelta(milliseconds=1)
            for message in _messages(logs, group, PATTERNS[log_format], begin, end_of_slice):
                report = parse_report(message)
                if report is None:
                    continue
                if taken == of_slice:
                    complete = False
                    break
                found.append(report)
                taken += 1
    except logs.exceptions.ResourceNotFoundException:
        return Sample((), complete=True)
    return Sample(tuple(found), complete)


def _messages(logs: CloudWatchLogsClient, group: str, pattern: str, start: datetime, end: datetime) -> Iterator[str]:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        filterPattern=pattern,
        startTime=int(start.timestamp() * 1000),
        endTime=int(end.timestamp() * 1000),
    )
    for page in pages:
        yield from (event["message"] for event in page["events"])
