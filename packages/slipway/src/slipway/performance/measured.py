"""Measurements of a run, and their faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any
from xml.etree import ElementTree as ET

from slipway.settings.model import Performance

LEAST_REQUESTS = 50
"""Minimum requests of each run for a comparison: with fewer, two requests decide the p95."""


@dataclass(frozen=True)
class Measured:
    """Measurements of a service, or of one of its routes.

    Attributes:
        name: The route; empty for all of them.
        requests: Number of requests.
        failures: Number of requests answered with 4xx or 5xx, or not at all.
        p50_ms: Median response time, milliseconds.
        p95_ms: 95th percentile of the response times, milliseconds.
        rate: Requests per second.
    """

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    rate: float

    @property
    def error_percent(self) -> float:
        """Share of the requests that failed, percent."""
        return 100 * self.failures / self.requests if self.requests else 0.0


@dataclass(frozen=True)
class PerformanceRun:
    """One run against one service.

    Attributes:
        service: Its name.
        total: Measurements of all routes together.
        routes: Measurements of each route.
        reasons: Why requests failed, the most frequent reason first, each with its count.
    """

    service: str
    total: Measured
    routes: tuple[Measured, ...]
    reasons: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return the run as JSON data, for the comparison with a later run."""
        return {
            "service": self.service,
            "total": asdict(self.total),
            "routes": [asdict(each) for each in self.routes],
            "reasons": list(self.reasons),
        }


def read_run(
    service: str, entries: Sequence[Mapping[str, Any]], seconds: float, reasons: Mapping[str, int] | None = None
) -> PerformanceRun:
    """Return the measurements in Locust's statistics.

    Args:
        service: The service that was loaded.
        entries: Statistics of each route, as `--json-file` writes them.
        seconds: Duration of the run.
        reasons: Why requests failed: reason → count. Default: no request failed.
    """
    why = tuple(f"{count} times {reason}" for reason, count in Counter(reasons or {}).most_common())
    routes = tuple(_measured(entry["name"], [entry], seconds) for entry in entries)
    total = _measured("", entries, seconds)
    return PerformanceRun(service, total, tuple(sorted(routes, key=lambda each: each.name)), why)


def _measured(name: str, entries: Sequence[Mapping[str, Any]], seconds: float) -> Measured:
    times: Counter[float] = Counter()
    for entry in entries:
        times.update({float(time): count for time, count in entry["response_times"].items()})
    requests = sum(entry["num_requests"] for entry in entries)
    return Measured(
        name=name,
        requests=requests,
        failures=sum(entry["num_failures"] for entry in entries),
        p50_ms=percentile(times, 50),
        p95_ms=percentile(times, 95),
        rate=round(requests / seconds, 2) if seconds else 0.0,
    )


def percentile(times: Mapping[float, int], percent: int) -> float:
    """Return a percentile of response times.

    Args:
        times: Response time → number of requests.
        percent: The percentile.
    """
    rank, seen = ceil(sum(times.values()) * percent / 100), 0
    for time, count in sorted(times.items()):
        seen += count
        if seen >= rank:
            return time
    return 0.0


def find_faults(
    run: PerformanceRun, wanted: Performance, last: Mapping[str, Any] | None, *, timed: bool = True
) -> Iterator[str]:
    """Yield the faults of a run, one line each.

    Args:
        run: The run.
        wanted: The limits.
        last: The last good run, as returned by `PerformanceRun.plain`. None: no earlier run.
        timed: True if response times count; on an emulator they only reflect this machine. Default: True.
    """
    total = run.total
    if not total.requests:
        yield "no request was sent"
        return
    if total.error_percent > wanted.error_percent:
        yield f"{total.error_percent:.1f} % of {total.requests} requests failed; at most {wanted.error_percent:g} % may"
    if not timed:
        return
    if total.p95_ms > wanted.p95_ms:
        yield f"p95 is {total.p95_ms:.0f} ms, above {wanted.p95_ms} ms"
    before = last["total"] if last else None
    if before and min(total.requests, before["requests"]) >= LEAST_REQUESTS:
        limit = before["p95_ms"] * (1 + wanted.tolerance_percent / 100)
        if total.p95_ms > limit:
            yield (
                f"p95 is {total.p95_ms:.0f} ms, more than {wanted.tolerance_percent} % above the "
                f"{before['p95_ms']:.0f} ms of the last good run"
            )


def as_junit(run: PerformanceRun, faults: Sequence[str]) -> str:
    """Return JUnit XML: a case per route with its figures, and one for the limits.

    Args:
        run: The run.
        faults: Its faults.
    """
    suite = ET.Element("testsuite", name=f"performance of {run.service}", tests=str(len(run.routes) + 1))
    suite.set("failures", str(int(bool(faults))))
    group = f"performance.{run.service}"
    for each in run.routes:
        case = ET.SubElement(suite, "testcase", classname=group, name=each.name, time=f"{each.p95_ms / 1000:.3f}")
        ET.SubElement(case, "system-out").text = described(each)
    case = ET.SubElement(suite, "testcase", classname=group, name="limits", time="0")
    if faults:
        ET.SubElement(case, "failure", message="; ".join(faults))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def described(measured: Measured) -> str:
    """Return figures in one line."""
    return (
        f"{measured.requests} requests at {measured.rate:g}/s, p50 {measured.p50_ms:.0f} ms, "
        f"p95 {measured.p95_ms:.0f} ms, {measured.failures} failed"
    )
