"""Logs of a service's functions, from CloudWatch Logs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

from slipway.emulator.server import Emulator
from slipway.errors import RehearsalError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef, FilterLogEventsResponseTypeDef

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PLATFORM = re.compile(r"^(START|END|REPORT|INIT_START) ")
# Keys that every record has, or that are shown elsewhere on the line.
_SHOWN = {"level", "message", "timestamp", "location", "service", "cold_start", "function_name", "function_arn"}
_SHOWN |= {"function_memory_size", "function_request_id", "xray_trace_id", "exception"}


@dataclass(frozen=True, order=True)
class LogLine:
    """One event of a log group."""

    time: datetime
    function: str
    stream: str
    number: int
    """Position in its stream, counted from the requested time."""
    message: str

    @property
    def is_platform(self) -> bool:
        """True for Lambda's own start, end and report lines, and for metrics in the embedded format."""
        return _PLATFORM.match(self.message) is not None or self.message.startswith('{"_aws":')

    @property
    def text(self) -> str:
        """The event as text: a JSON record as level, message and the other keys."""
        try:
            record = json.loads(self.message)
        except json.JSONDecodeError:
            return self.message.rstrip()
        if not isinstance(record, dict) or "message" not in record:
            return self.message.rstrip()
        rest = " ".join(f"{key}={_short(value)}" for key, value in record.items() if key not in _SHOWN)
        exception = f"\n{record['exception']}" if record.get("exception") else ""
        return f"{record.get('level', ''):<7} {_short(record['message'])}  {rest}".rstrip() + exception


def since(text: str) -> datetime:
    """Return the time a duration ago.

    Args:
        text: A number and a unit of s, m, h or d, such as `10m`.

    Raises:
        RehearsalError: The text is not a duration.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise RehearsalError(f"--since {text!r} is not a duration such as 30s, 10m, 2h or 1d", exit_code=2)
    return datetime.now(UTC) - timedelta(**{_UNITS[match[2]]: int(match[1])})


def lines(emulator: Emulator, environment: str, service: str, start: datetime) -> list[LogLine]:
    """Return the log lines of a service's functions since a time, oldest first.

    Args:
        emulator: The emulator that they run on.
        environment: Name of the environment.
        service: Name of the service.
        start: Start time.
    """
    session = emulator.session()
    functions = session.client("lambda").get_paginator("list_functions")
    logs = session.client("logs")
    prefix = f"{environment}-{service}-"
    found: list[LogLine] = []
    for function in (function for page in functions.paginate() for function in page["Functions"]):
        name = function["FunctionName"]
        if not name.startswith(prefix):
            continue
        group = function.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}")
        try:
            events = list(read_events(logs, group, int(start.timestamp() * 1000)))
        except logs.exceptions.ResourceNotFoundException:
            continue  # A function that never ran has no group until its first call.
        # `compute-ApiF70053CD-638166895C097`: the stack's end, the construct with its hash, CloudFormation's own end.
        short = re.sub(r"^[a-z]+-|[0-9A-F]{8}(-\w+)?$", "", name.removeprefix(prefix))
        numbers: Counter[str] = Counter()
        for event in events:
            stream = event["logStreamName"]
            moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            found.append(LogLine(moment, short, stream, numbers[stream], event["message"]))
            numbers[stream] += 1
    return sorted(found)


def read_events(logs: CloudWatchLogsClient, group: str, start: int) -> Iterator[FilteredLogEventTypeDef]:
    """Yield every event since a time, in milliseconds, once.

    The emulator returns the oldest events and no token for more, so the next query starts where an answer ended.
    """
    seen: set[tuple[object, ...]] = set()
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=start)
        fresh = {key: event for key, event in _identified(pages) if key not in seen}
        if not fresh:
            return
        yield from fresh.values()
        seen.update(fresh)
        start = max(event["timestamp"] for event in fresh.values())


def _identified(
    pages: Iterable[FilterLogEventsResponseTypeDef],
) -> Iterator[tuple[tuple[object, ...], FilteredLogEventTypeDef]]:
    """Yield each event of an answer with a key that distinguishes it.

    The emulator provides no `eventId`. An answer begins at the first event of a millisecond, so that equal ones are
    distinguished by their number.
    """
    equal: Counter[tuple[object, ...]] = Counter()
    for event in (event for page in pages for event in page["events"]):
        content = (event["logStreamName"], event["timestamp"], event["message"])
        yield (*content, equal[content]), event
        equal[content] += 1


def follow(
    emulator: Emulator, environment: str, service: str, start: datetime, *, ended: Event | None = None
) -> Iterator[LogLine]:
    """Yield log lines from a time on, until interrupted.

    Args:
        emulator: The emulator that they run on.
        environment: Name of the environment.
        service: Name of the service.
        start: Start time.
        ended: Stops it when set. Default: only an interrupt does.
    """
    ended = ended or Event()
    seen: set[LogLine] = set()
    while emulator.pid is not None and not ended.is_set():
        for line in lines(emulator, environment, service, start):
            if line not in seen:
                seen.add(line)
                yield line
        ended.wait(1)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
