"""Draw the number of invocations of each kind for an expected number."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from random import Random

from slipway.detectability.faults import FailureMode

Counts = tuple[int, int, int, int]
"""Numbers of invocations that end as errors, that are answered with a failure, that are slow, and that succeed."""

Arrivals = Callable[[float, FailureMode, Random], Counts]
"""Draws the invocations of a period for an expected number."""

# Numbers beyond this many standard deviations, and at least a few, are not drawn: their probability is below 1e-15.
_TAIL, _FEW = 9.0, 40


def poisson(expected: float, fault: FailureMode, random: Random) -> Counts:
    """Draw independent callers: each kind is Poisson-distributed, and independent of the others."""
    errors, answered, slow = fault.errors * expected, fault.answered * expected, fault.slow * expected
    well = max(1 - fault.harmful, 0) * expected
    return _draw(errors, random), _draw(answered, random), _draw(slow, random), _draw(well, random)


def regular(expected: float, fault: FailureMode, random: Random) -> Counts:
    """Return exactly the expected number, rounded, with random kinds."""
    left = round(expected)
    counts = []
    share_left = 1.0
    for share in (fault.errors, fault.answered, fault.slow):
        part = min(share / share_left, 1.0) if share_left > 0 else 0.0
        number = sum(random.random() < part for _ in range(left)) if part else 0
        counts.append(number)
        left -= number
        share_left -= share
    return counts[0], counts[1], counts[2], left


def _draw(mean: float, random: Random) -> int:
    """Draw a Poisson number, by its cumulative distribution."""
    # Means that differ only by rounding share a distribution; tiny means count as zero.
    mean = round(mean, 9)
    if mean <= 0:
        return 0
    first, cumulated = _distribution(mean)
    return first + bisect_left(cumulated, random.random() * cumulated[-1])


@cache
def _distribution(mean: float) -> tuple[int, list[float]]:
    """Return the first number drawn, and the cumulative probabilities from there on."""
    spread = _TAIL * math.sqrt(mean) + _FEW
    first, last = max(math.floor(mean - spread), 0), math.ceil(mean + spread)
    chances = (math.exp(number * math.log(mean) - mean - math.lgamma(number + 1)) for number in range(first, last + 1))
    return first, list(accumulate(chances))
