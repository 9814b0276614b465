"""Compare the memory of a function with its usage, and price another size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from statistics import quantiles
from typing import Final

from slipway.cost.prices import Price
from slipway.sizing.reports import InvocationReport

HEADROOM: Final = 1.25
"""Memory added to the maximum used, as a share, so that a larger request doesn't exhaust it."""

STEP: Final = 64
"""Suggested sizes are multiples of this, MB; Lambda accepts any number of MB."""

SMALLEST, LARGEST, ONE_CPU = 128, 10_240, 1_769
"""Memory in MB: minimum and maximum of a function, and the amount that comes with one full vCPU.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

FEW: Final = 100
"""Minimum number of reports for a suggestion: fewer may miss a week's peak."""


class MemoryVerdict(StrEnum):
    """The reports' verdict on a function's memory."""

    FITS = "fits"
    MORE = "needs more"
    LESS = "may have less"
    FEW = "too few reports"


@dataclass(frozen=True)
class Advice:
    """Advice on one function, from its reports.

    Attributes:
        verdict: The verdict.
        size: Current memory, in MB.
        used: Maximum memory used, in MB; 0 without reports.
        suggested: Memory in MB that leaves the headroom; the current size if none is suggested.
        reports: Number of reports.
        p50: Median duration in milliseconds; 0 without reports.
        p95: 95th percentile of the duration in milliseconds; 0 without reports.
        monthly: Current US dollars per month for duration.
        lowest: The price at the suggested size if the duration stays the same, because the function waits for others.
        highest: The price at the suggested size if the duration grows as the CPU shrinks, because it computes.
    """

    verdict: MemoryVerdict
    size: int
    used: int
    suggested: int
    reports: int
    p50: float
    p95: float
    monthly: Decimal
    lowest: Decimal
    highest: Decimal


def advise(reports: Sequence[InvocationReport], *, size: int, invocations: Decimal, duration: Price) -> Advice:
    """Compare a function's memory with its usage.

    CPU is proportional to memory, up to one vCPU for a function with one thread. So a smaller function may take longer,
    by at most the ratio of the sizes, which gives the two prices.

    Args:
        reports: Reports of its invocations; those at other sizes are ignored.
        size: Current memory, in MB.
        invocations: Invocations per month.
        duration: Price of a GB-second.
    """
    own = [report for report in reports if report.size == size]
    used = max((report.used for report in own), default=0)
    durations = sorted(report.duration for report in own)
    billed = sum((Decimal(str(report.billed)) for report in own), Decimal()) / (len(own) or 1)
    needed = min(LARGEST, max(SMALLEST, math.ceil(used * HEADROOM / STEP) * STEP))
    verdict = _verdict(len(own), size, needed)
    suggested = needed if verdict in {MemoryVerdict.MORE, MemoryVerdict.LESS} else size
    slower = Decimal(min(size, ONE_CPU)) / Decimal(min(suggested, ONE_CPU))

    def monthly(memory: int, factor: Decimal) -> Decimal:
        return duration.of(invocations * billed * factor / 1000 * memory / 1024)

    prices = monthly(suggested, Decimal(1)), monthly(suggested, slower)
    return Advice(
        verdict=verdict,
        size=size,
        used=used,
        suggested=suggested,
        reports=len(own),
        p50=_percentile(durations, 50),
        p95=_percentile(durations, 95),
        monthly=monthly(size, Decimal(1)),
        lowest=min(prices),
        highest=max(prices),
    )


def _verdict(reports: int, size: int, needed: int) -> MemoryVerdict:
    if reports < FEW:
        return MemoryVerdict.FEW
    if needed > size:
        return MemoryVerdict.MORE
    return MemoryVerdict.LESS if needed < size else MemoryVerdict.FITS


def _percentile(ordered: Sequence[float], percent: int) -> float:
    if len(ordered) < 2:
        return ordered[0] if ordered else 0.0
    return quantiles(ordered, n=100, method="inclusive")[percent - 1]
