"""Metrics as CloudWatch stores them, at times that the caller gives."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from slipway.cloudwatch.statistics import Samples, Statistic

MINUTE = 60


class Metric(NamedTuple):
    """One metric: with other or fewer dimensions it is a different metric.

    Args:
        namespace: Such as `AWS/Lambda`.
        name: Such as `Errors`.
        dimensions: Names and values.
    """

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Mapping[str, str] | None = None) -> Metric:
        """Return a metric from its dimensions by name."""
        return cls(namespace, name, frozenset((dimensions or {}).items()))

    def __str__(self) -> str:
        dimensions = ", ".join(f"{name}={value}" for name, value in sorted(self.dimensions))
        return f"{self.namespace} {self.name}{f' ({dimensions})' if dimensions else ''}"


@dataclass
class Series:
    """Samples of one unit, in the order of their times."""

    times: list[float] = field(default_factory=list)
    samples: list[tuple[float, float]] = field(default_factory=list)

    def add(self, at: float, value: float, count: float) -> None:
        """Insert a sample by its time."""
        if not self.times or self.times[-1] <= at:
            self.times.append(at)
            self.samples.append((value, count))
            return
        place = bisect_right(self.times, at)
        self.times.insert(place, at)
        self.samples.insert(place, (value, count))

    def between(self, start: float, end: float) -> list[tuple[float, float]]:
        """Return the samples from `start` up to, but excluding, `end`."""
        begin = bisect_left(self.times, start)
        return self.samples[begin : bisect_left(self.times, end, begin)]


def between(series: Sequence[Series], start: float, end: float) -> Samples:
    """Return the samples of some series from `start` up to, but excluding, `end`."""
    if len(series) == 1:
        return series[0].between(start, end)
    return [sample for one in series for sample in one.between(start, end)]


class MetricStore:
    """Samples by metric and time.

    It has no clock. Times are seconds; whole minutes are multiples of 60, as in Unix time. As in CloudWatch, a value
    can be put late, for a past time, and is visible from then on; the order of puts does not matter.
    """

    def __init__(self) -> None:
        self._series: dict[Metric, dict[str | None, Series]] = {}

    def put(
        self,
        namespace: str,
        name: str,
        dimensions: Mapping[str, str],
        value: float,
        at: float,
        *,
        count: float = 1,
        unit: str | None = None,
        resolution: int = MINUTE,
    ) -> None:
        """Put one value.

        Args:
            namespace: Namespace of the metric, such as `AWS/Lambda`.
            name: Name of the metric, such as `Errors`.
            dimensions: Dimensions of the metric, by name. Values that AWS publishes under several sets of dimensions
                must be put under each: Lambda under `FunctionName` alone, with `Resource`, and with `Resource` and
                `ExecutedVersion`.
            value: The sample.
            at: The time, seconds.
            count: How often the value was seen. Default: once.
            unit: CloudWatch's name of the unit. Default: none.
            resolution: 60, or 1 for a metric of high resolution. Default: 60, as AWS's own metrics have: only the
                minute of a sample is kept.

        Raises:
            ValueError: CloudWatch does not accept the value, time or count.
        """
        metric = Metric.of(namespace, name, dimensions)
        self.put_values(metric, [value], at, counts=[count], unit=unit, resolution=resolution)

    def put_values(
        self,
        metric: Metric,
        values: Sequence[float],
        at: float,
        *,
        counts: Sequence[float],
        unit: str | None = None,
        resolution: int = MINUTE,
    ) -> None:
        """Put values with how often each was seen, as `Values` and `Counts` of PutMetricData.

        Args:
            metric: The metric.
            values: The samples.
            at: The time, seconds.
            counts: How often each was seen; 0 puts nothing.
            unit: CloudWatch's name of the unit. Default: none.
            resolution: As for `put`.

        Raises:
            ValueError: As for `put`; or the numbers of counts and values differ.
        """
        if len(values) != len(counts):
            raise ValueError(f"{metric}: {len(values)} values and {len(counts)} counts")
        if resolution not in {1, MINUTE}:
            raise ValueError(f"{metric}: a resolution of {resolution} s; must be 1 or {MINUTE}")
        series = self._series.setdefault(metric, {}).setdefault(unit, Series())
        moment = math.floor(at / resolution) * resolution
        for value, count in zip(values, counts, strict=True):
            if not math.isfinite(value) or not math.isfinite(count) or count < 0:
                raise ValueError(f"{metric}: {value} with count {count} is not a valid sample")
            if count:
                series.add(moment, value, count)

    def series(self, metric: Metric, *, unit: str | None = None) -> Sequence[Series]:
        """Return the values put to a metric, as one series per unit.

        Args:
            metric: The metric.
            unit: Only the series of this unit. Default: all units.
        """
        units = self._series.get(metric)
        if not units:
            return ()
        if unit is None:
            return tuple(units.values())
        return (units[unit],) if unit in units else ()

    def samples(self, metric: Metric, start: float, end: float, *, unit: str | None = None) -> Samples:
        """Return the samples of a metric from `start` up to, but excluding, `end`.

        Args:
            metric: The metric.
            start: Start, seconds.
            end: End, seconds.
            unit: Only samples of this unit. Default: all units.
        """
        return between(self.series(metric, unit=unit), start, end)

    def statistic(
        self, metric: Metric, statistic: Statistic, start: float, end: float, *, unit: str | None = None
    ) -> float | None:
        """Return a statistic of a metric from `start` up to, but excluding, `end`; None without samples."""
        return statistic.of(self.samples(metric, start, end, unit=unit))

    @property
    def metrics(self) -> list[Metric]:
        """Every metric with values, in the order of the first put."""
        return list(self._series)
