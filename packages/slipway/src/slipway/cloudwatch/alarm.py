"""`AWS::CloudWatch::Alarm`, read from a template with resolved references."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self, TypeVar

from pydantic import Field, ValidationError

from slipway.cloudwatch.errors import AlarmError
from slipway.cloudwatch.queries import (
    DimensionProperties,
    MathQuery,
    MetricProperties,
    MetricQuery,
    PropertyModel,
    QueryProperties,
    read_metrics,
    read_statistic,
)
from slipway.cloudwatch.statistics import SIMPLE
from slipway.cloudwatch.store import Metric

EXTRA_PERIODS = 2
"""Periods that an evaluation looks back beyond the evaluation periods, in case some are missing.

AWS says only that it is "a higher number" that depends on the period; its examples have 5 for 3 evaluation periods
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html). `evaluation_range`
overrides it for one alarm.
"""

DAY = 86_400
_HOUR = 3_600


class AlarmState(StrEnum):
    """The states of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class MissingData(StrEnum):
    """How a missing data point counts."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


class ThresholdComparison(StrEnum):
    """Comparison of a data point with the threshold; if it holds, the data point breaches."""

    GREATER_OR_EQUAL = "GreaterThanOrEqualToThreshold"
    GREATER = "GreaterThanThreshold"
    LESS_OR_EQUAL = "LessThanOrEqualToThreshold"
    LESS = "LessThanThreshold"


_COMPARE: Mapping[ThresholdComparison, Callable[[float, float], bool]] = {
    ThresholdComparison.GREATER_OR_EQUAL: operator.ge,
    ThresholdComparison.GREATER: operator.gt,
    ThresholdComparison.LESS_OR_EQUAL: operator.le,
    ThresholdComparison.LESS: operator.lt,
}

_ANOMALY = {"LessThanLowerOrGreaterThanUpperThreshold", "LessThanLowerThreshold", "GreaterThanUpperThreshold"}


@dataclass(frozen=True)
class Alarm:
    """A metric alarm.

    Args:
        name: For messages, and for composite alarms.
        query: The metric or expression that it watches.
        evaluation_periods: N, the number of data points that it judges.
        datapoints_to_alarm: M, how many of these must breach.
        comparison: When a data point breaches.
        threshold: Value to compare with.
        treat_missing_data: How a missing data point counts.
        ignore_low_samples: True if the state stays while a percentile has too few samples to be significant.
        evaluation_range: Number of periods that it looks back if some are missing. Default: N plus `EXTRA_PERIODS`.
    """

    name: str
    query: MetricQuery | MathQuery
    evaluation_periods: int
    datapoints_to_alarm: int
    comparison: ThresholdComparison
    threshold: float
    treat_missing_data: MissingData = MissingData.MISSING
    ignore_low_samples: bool = False
    evaluation_range: int = field(default=0)

    def __post_init__(self) -> None:
        if not self.evaluation_range:
            object.__setattr__(self, "evaluation_range", self.evaluation_periods + EXTRA_PERIODS)
        if self.evaluation_range < self.evaluation_periods:
            raise AlarmError(
                f"{self.name}: an evaluation range of {self.evaluation_range} is shorter than the "
                f"{self.evaluation_periods} evaluation periods"
            )

    @classmethod
    def from_template(cls, properties: Mapping[str, Any], *, name: str = "") -> Alarm:
        """Read the properties of an `AWS::CloudWatch::Alarm`.

        Args:
            properties: Its properties, with every reference resolved; numbers may be strings, as in CloudFormation.
            name: Its name if it has no `AlarmName`. Default: its metric's name.

        Raises:
            AlarmError: CloudWatch would refuse it, or it uses a feature that is not evaluated here: anomaly detection,
                queries of Metrics Insights and PromQL, wall-clock windows, metrics of other accounts, some functions of
                metric math.
        """
        called = str(properties.get("AlarmName") or name or properties.get("MetricName") or "an alarm")
        return _Properties.read(properties, called).alarm(called)

    @property
    def period(self) -> int:
        """Length of a period, seconds."""
        return self.query.period

    @cached_property
    def every(self) -> int:
        """Return the evaluation interval, seconds.

        Alarms are evaluated every minute; with a period of less than a minute, every 10 seconds; and with evaluation
        periods longer than a day, every hour
        (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarm-evaluation).
        """
        if self.period < 60:
            return 10
        return _HOUR if self.period * self.evaluation_periods > DAY else 60

    @cached_property
    def breaches(self) -> Callable[[float], bool]:
        """Return the test for data points that breach the threshold."""
        compare, threshold = _COMPARE[self.comparison], self.threshold
        return lambda value: compare(value, threshold)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that it reads."""
        if isinstance(self.query, MetricQuery):
            return (self.query.metric,)
        return tuple(query.metric for query in self.query.metrics.values())


# Parsing. The fields have the names of CloudFormation's properties.

_Member = TypeVar("_Member", bound=StrEnum)


_OF_ONE_METRIC = ("MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic", "Unit")

# Properties of an alarm that don't affect its state.
_BESIDE = (
    "ActionConfiguration",
    "ActionsEnabled",
    "AlarmActions",
    "AlarmDescription",
    "AlarmName",
    "InsufficientDataActions",
    "OKActions",
    "Tags",
)


class _Properties(PropertyModel):
    ComparisonOperator: str
    EvaluationPeriods: int = Field(ge=1)
    Threshold: float | None = None
    DatapointsToAlarm: int | None = Field(default=None, ge=1)
    Dimensions: tuple[DimensionProperties, ...] = ()
    EvaluateLowSampleCountPercentile: str | None = None
    EvaluationCriteria: Any = None
    EvaluationInterval: Any = None
    EvaluationWindow: dict[str, Any] | None = None
    ExtendedStatistic: str | None = None
    MetricName: str | None = None
    Metrics: tuple[QueryProperties, ...] | None = None
    Namespace: str | None = None
    Period: int | None = None
    Statistic: str | None = None
    ThresholdMetricId: str | None = None
    TreatMissingData: str | None = None
    Unit: str | None = None

    @classmethod
    def read(cls, properties: Mapping[str, Any], name: str) -> Self:
        watched = {key: value for key, value in properties.items() if key not in _BESIDE}
        for place, value in _unresolved(watched, ""):
            raise AlarmError(f"{name}: {place} is {json.dumps(value)}, an unresolved reference; resolve it first")
        try:
            return cls.model_validate(watched)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            if first["type"] == "missing":
                raise AlarmError(f"{name}: {place} is required") from None
            if first["type"] == "extra_forbidden":
                raise AlarmError(f"{name}: {place} is not a supported property") from None
            message = first["msg"]
            raise AlarmError(f"{name}: {place} = {first['input']!r}: {message[0].lower()}{message[1:]}") from None

    def alarm(self, name: str) -> Alarm:
        self._refuse_what_is_not_evaluated(name)
        if self.Threshold is None:
            raise AlarmError(f"{name}: Threshold is required")
        query = self._metric(name) if self.Metrics is None else self._metrics(name, self.Metrics)
        self._check_period(name, query.period)
        wanted = self.DatapointsToAlarm or self.EvaluationPeriods
        if wanted > self.EvaluationPeriods:
            raise AlarmError(
                f"{name}: DatapointsToAlarm = {wanted} is more than EvaluationPeriods = {self.EvaluationPeriods}"
            )
        return Alarm(
            name=name,
            query=query,
            evaluation_periods=self.EvaluationPeriods,
            datapoints_to_alarm=wanted,
            comparison=_member(name, "ComparisonOperator", self.ComparisonOperator, ThresholdComparison),
            threshold=self.Threshold,
            treat_missing_data=self._treat_missing_data(name, query),
            ignore_low_samples=self._ignores_low_samples(name, query),
        )

    def _refuse_what_is_not_evaluated(self, name: str) -> None:
        if self.ComparisonOperator in _ANOMALY or self.ThresholdMetricId is not None:
            raise AlarmError(
                f"{name}: {self.ComparisonOperator} is for anomaly detection, which is not evaluated here; "
                f"ComparisonOperator is one of {', '.join(ThresholdComparison)}"
            )
        if self.EvaluationCriteria is not None or self.EvaluationInterval is not None:
            raise AlarmError(f"{name}: EvaluationCriteria and EvaluationInterval are not evaluated here")
        if self.EvaluationWindow is not None and "SlidingWindow" not in self.EvaluationWindow:
            raise AlarmError(
                f"{name}: EvaluationWindow = {self.EvaluationWindow}: only SlidingWindow is evaluated here"
            )

    def _check_period(self, name: str, period: int) -> None:
        """Check the limits of https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html."""
        if period not in {10, 20, 30} and (period < 60 or period % 60):
            raise AlarmError(f"{name}: Period = {period}: must be 10, 20, 30, or a multiple of 60")
        longest = DAY * 7 if period >= _HOUR else DAY
        if period * self.EvaluationPeriods > longest:
            raise AlarmError(
                f"{name}: EvaluationPeriods = {self.EvaluationPeriods} of {period} s are longer than {longest // DAY} d"
            )

    def _metric(self, name: str) -> MetricQuery:
        if self.MetricName is None or self.Namespace is None or self.Period is None:
            raise AlarmError(f"{name}: MetricName, Namespace and Period, or Metrics, are required")
        if (self.Statistic is None) == (self.ExtendedStatistic is None):
            raise AlarmError(f"{name}: one of Statistic and ExtendedStatistic is required")
        if self.Statistic is not None and self.Statistic not in SIMPLE:
            raise AlarmError(f"{name}: Statistic = {self.Statistic!r}: must be one of {', '.join(SIMPLE)}")
        if self.ExtendedStatistic in SIMPLE:
            raise AlarmError(f"{name}: ExtendedStatistic = {self.ExtendedStatistic!r}: put it into Statistic")
        key = "Statistic" if self.Statistic is not None else "ExtendedStatistic"
        statistic = read_statistic(name, key, self.Statistic or self.ExtendedStatistic or "")
        metric = MetricProperties(
            MetricName=self.MetricName, Namespace=self.Namespace, Dimensions=self.Dimensions
        ).metric
        return MetricQuery(metric, statistic, self.Period, self.Unit)

    def _metrics(self, name: str, queries: Sequence[QueryProperties]) -> MetricQuery | MathQuery:
        beside = [key for key in _OF_ONE_METRIC if getattr(self, key)]
        if beside:
            raise AlarmError(f"{name}: {', '.join(beside)} cannot be combined with Metrics; use one or the other")
        return read_metrics(name, queries)

    def _treat_missing_data(self, name: str, query: MetricQuery | MathQuery) -> MissingData:
        """Return the treatment of missing data. Default: missing; for DynamoDB's metrics ignore, as AWS documents."""
        if self.TreatMissingData is not None:
            return _member(name, "TreatMissingData", self.TreatMissingData, MissingData)
        dynamodb = isinstance(query, MetricQuery) and query.metric.namespace == "AWS/DynamoDB"
        return MissingData.IGNORE if dynamodb else MissingData.MISSING

    def _ignores_low_samples(self, name: str, query: MetricQuery | MathQuery) -> bool:
        found = self.EvaluateLowSampleCountPercentile
        if found not in {None, "evaluate", "ignore"}:
            raise AlarmError(f"{name}: EvaluateLowSampleCountPercentile = {found!r}: must be evaluate or ignore")
        if found is not None and not (isinstance(query, MetricQuery) and query.statistic.percentile is not None):
            raise AlarmError(f"{name}: EvaluateLowSampleCountPercentile is only for percentiles")
        return found == "ignore"


def _member(name: str, key: str, found: str, kind: type[_Member]) -> _Member:
    try:
        return kind(found)
    except ValueError:
        allowed = ", ".join(str(member) for member in kind)
        raise AlarmError(f"{name}: {key} = {found!r}: must be one of {allowed}") from None


def _unresolved(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yield the remaining intrinsic functions of CloudFormation."""
    if isinstance(value, Mapping):
        if len(value) == 1 and (key := str(next(iter(value)))) and (key == "Ref" or key.startswith("Fn::")):
            yield place, value
            return
        for key, inner in value.items():
            yield from _unresolved(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unresolved(inner, f"{place}[{index}]")
