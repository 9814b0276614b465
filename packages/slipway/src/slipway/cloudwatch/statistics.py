"""CloudWatch's statistics of the samples of a period.

They are defined at https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html. That
page does not say how a percentile between two samples is computed, so this is assumed:

- A percentile is a sample: the smallest value that at least that percentage of the samples do not exceed (nearest
  rank). Of fewer than a hundred samples, p99 is therefore the largest. CloudWatch shows the same, within the width of
  the bins in which it keeps its samples.
- Bounds in percent cut the sorted samples exactly. If a bound falls within a sample, that sample counts in part: the
  page says that a trimmed count may be a fraction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

Samples = Sequence[tuple[float, float]]
"""Values and how often each was seen, in any order; a value may occur more than once."""

_SIMPLE = re.compile(r"(?P<kind>p|tm|wm|tc|ts)(?P<percent>\d{1,3}(?:\.\d{1,10})?)", re.IGNORECASE)
_NUMBER = r"[+-]?\d+(?:\.\d{1,10})?"
_RANGE = re.compile(
    rf"(?P<kind>tm|wm|tc|ts|pr)\((?P<low>{_NUMBER})?(?P<lowp>%)?:(?P<high>{_NUMBER})?(?P<highp>%)?\)", re.IGNORECASE
)

# Products of percentages and counts are off by the last digit: 99.9 % of 1000 must not become rank 1000.
_SLACK = 1e-9


class StatisticKind(Enum):
    """The families of statistics. The values are CloudWatch's names, without their numbers."""

    SAMPLE_COUNT = "SampleCount"
    SUM = "Sum"
    AVERAGE = "Average"
    MINIMUM = "Minimum"
    MAXIMUM = "Maximum"
    PERCENTILE = "p"
    TRIMMED_MEAN = "TM"
    WINSORIZED_MEAN = "WM"
    TRIMMED_COUNT = "TC"
    TRIMMED_SUM = "TS"
    PERCENTILE_RANK = "PR"


_WHOLE = {
    kind.value: kind
    for kind in (
        StatisticKind.SAMPLE_COUNT,
        StatisticKind.SUM,
        StatisticKind.AVERAGE,
        StatisticKind.MINIMUM,
        StatisticKind.MAXIMUM,
    )
}

SIMPLE = tuple(_WHOLE)
"""Allowed values of an alarm's `Statistic`; others go into `ExtendedStatistic`."""


@dataclass(frozen=True)
class Statistic:
    """One statistic, such as `Sum`, `p99`, `TM(2%:98%)`.

    Args:
        name: Its name, as written in a template.
        kind: Its family.
        low: Lower bound; None for a percentile and a sum.
        high: Upper bound; for a percentile, the percentile.
        in_percent: True if the bounds are percentages of the samples, not values.
    """

    name: str
    kind: StatisticKind
    low: float = -math.inf
    high: float = math.inf
    in_percent: bool = False

    @classmethod
    def parse(cls, name: str) -> Statistic:
        """Parse the name of a statistic.

        Raises:
            ValueError: CloudWatch has no such statistic, or its bounds are impossible.
        """
        if kind := _WHOLE.get(name):
            return cls(name, kind)
        if name.upper() == "IQM":
            return cls(name, StatisticKind.TRIMMED_MEAN, 25, 75, in_percent=True)
        if found := _SIMPLE.fullmatch(name):
            kind = StatisticKind.PERCENTILE if found["kind"].lower() == "p" else StatisticKind(found["kind"].upper())
            statistic = cls(name, kind, 0, float(found["percent"]), in_percent=True)
        elif found := _RANGE.fullmatch(name):
            statistic = cls._of_range(name, found)
        else:
            raise ValueError(
                f"unknown statistic {name!r}; choose from {', '.join(SIMPLE)}, p99, IQM, or forms such as tm90, "
                "WM(10%:90%), TC(1:5), TS(80%:), PR(:300)"
            )
        if statistic.in_percent and not 0 <= statistic.low <= statistic.high <= 100:
            raise ValueError(f"{name!r}: percentages are from 0 to 100, the lower one first")
        if statistic.low > statistic.high:
            raise ValueError(f"{name!r}: the lower bound comes first")
        return statistic

    @classmethod
    def _of_range(cls, name: str, found: re.Match[str]) -> Statistic:
        kind = StatisticKind(found["kind"].upper())
        given = [found[f"{bound}p"] is not None for bound in ("low", "high") if found[bound] is not None]
        stray = [found[f"{bound}p"] for bound in ("low", "high") if found[bound] is None and found[f"{bound}p"]]
        if not given or stray or len(set(given)) > 1:
            raise ValueError(f"{name!r}: one bound or two, both of them percentages or neither")
        in_percent = given[0]
        if in_percent and kind is StatisticKind.PERCENTILE_RANK:
            raise ValueError(f"{name!r}: the bounds of a percentile rank are values, not percentages")
        lowest, highest = (0.0, 100.0) if in_percent else (-math.inf, math.inf)
        low = lowest if found["low"] is None else float(found["low"])
        high = highest if found["high"] is None else float(found["high"])
        return cls(name, kind, low, high, in_percent=in_percent)

    @property
    def percentile(self) -> float | None:
        """Return the percentile, 0 to 100; None for another statistic."""
        return self.high if self.kind is StatisticKind.PERCENTILE else None

    @property
    def fewest_samples(self) -> float:
        """Return the samples that a percentile needs to be significant; 0 for another statistic.

        The figures are those of
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html.
        """
        if self.percentile is None or self.percentile >= 100 or self.percentile <= 0:
            return 0
        # Without rounding, tenths of a percent could lose a sample by the last digit.
        part = self.percentile if self.percentile < 50 else 100 - self.percentile
        return round(1000 / part, 6)

    def of(self, samples: Samples) -> float | None:
        """Return the statistic of a period's samples; None without samples, so that the data point is missing."""
        if not samples:
            return None
        match self.kind:
            case StatisticKind.SAMPLE_COUNT:
                return sum(count for _, count in samples)
            case StatisticKind.SUM:
                return sum(value * count for value, count in samples)
            case StatisticKind.AVERAGE:
                return sum(value * count for value, count in samples) / sum(count for _, count in samples)
            case StatisticKind.MINIMUM:
                return min(value for value, _ in samples)
            case StatisticKind.MAXIMUM:
                return max(value for value, _ in samples)
            case StatisticKind.PERCENTILE:
                return percentile(samples, self.high)
            case StatisticKind.PERCENTILE_RANK:
                total = sum(count for _, count in samples)
                return 100 * sum(weight for _, weight in self._within(samples)) / total
            case StatisticKind.TRIMMED_COUNT:
                return sum(weight for _, weight in self._within(samples))
            case StatisticKind.TRIMMED_SUM:
                return sum(value * weight for value, weight in self._within(samples))
            case StatisticKind.TRIMMED_MEAN:
                weights = sum(weight for _, weight in self._within(samples))
                return sum(value * weight for value, weight in self._within(samples)) / weights if weights else None
            case StatisticKind.WINSORIZED_MEAN:
                return self._winsorized(samples)

    def _within(self, samples: Samples) -> Iterator[tuple[float, float]]:
        """Yield the samples between the bounds, excluding the lower and including the upper one, with their weights."""
        if not self.in_percent:
            yield from ((value, count) for value, count in samples if self.low < value <= self.high)
            return
        total = sum(count for _, count in samples)
        begin, end = self.low * total / 100, self.high * total / 100
        position = 0.0
        for value, count in sorted(samples):
            weight = min(position + count, end) - max(position, begin)
            if weight > 0:
                yield value, weight
            position += count

    def _winsorized(self, samples: Samples) -> float:
        low, high = self.low, self.high
        if self.in_percent:
            low, high = percentile(samples, low), percentile(samples, high)
        total = sum(count for _, count in samples)
        return sum(min(max(value, low), high) * count for value, count in samples) / total


def percentile(samples: Samples, percent: float) -> float:
    """Return the smallest value that at least `percent` of the samples do not exceed.

    Args:
        samples: The samples, at least one.
        percent: The percentage, 0 to 100; 0 is the smallest sample.
    """
    if len(samples) == 1:
        return samples[0][0]
    ordered = sorted(samples)
    rank = percent * sum(count for _, count in ordered) / 100 * (1 - _SLACK)
    position = 0.0
    for value, count in ordered:
        position += count
        if position >= rank:
            return value
    return ordered[-1][0]
