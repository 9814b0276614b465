"""Queries of an alarm: a statistic of a metric, or metric math over several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from slipway.cloudwatch.errors import AlarmError
from slipway.cloudwatch.math_values import EvaluationContext, MathError, Series, Value
from slipway.cloudwatch.metric_math import Expression
from slipway.cloudwatch.statistics import Statistic
from slipway.cloudwatch.store import Metric, MetricStore, between


@dataclass(frozen=True)
class MetricQuery:
    """A statistic of a metric, period by period.

    Args:
        metric: The metric.
        statistic: Statistic of a period's samples.
        period: Length of a period, seconds.
        unit: Only samples of this unit count. Default: all.
    """

    metric: Metric
    statistic: Statistic
    period: int
    unit: str | None = None

    def points(self, store: MetricStore, starts: Iterable[float], *, enough: int | None = None) -> list[float | None]:
        """Return the data points of the periods that begin at `starts`, in order; None for a missing one.

        Args:
            store: The metrics.
            starts: Start of each period, seconds.
            enough: Stop after this many data points that are not missing. Default: compute all.
        """
        series = store.series(self.metric, unit=self.unit)
        if not series:
            return [None for _ in starts]
        found: list[float | None] = []
        real = 0
        for start in starts:
            value = self.statistic.of(between(series, start, start + self.period))
            found.append(value)
            if value is not None:
                real += 1
                if real == enough:
                    break
        return found


@dataclass(frozen=True)
class MathQuery:
    """A metric math expression over metrics that share a period.

    Args:
        metrics: The metrics by id, in the alarm's order.
        expressions: The expressions by id, in the order in which they are computed.
        result: The id whose series the alarm watches.
        period: Length of a period, seconds.
    """

    metrics: Mapping[str, MetricQuery]
    expressions: Mapping[str, Expression]
    result: str
    period: int

    def points(self, store: MetricStore, starts: Sequence[float]) -> Series:
        """Return the data points of the periods that begin at `starts`, oldest first.

        Raises:
            MathError: The expression's result is not a single time series.
        """
        metrics = {name: tuple(query.points(store, starts)) for name, query in self.metrics.items()}
        results: dict[str, Value] = {}
        context = EvaluationContext(metrics, results, starts, self.period)
        for name, expression in self.expressions.items():
            results[name] = expression.evaluate(context)
        value = results[self.result]
        if isinstance(value, list) and len(value) == 1:
            return value[0]
        if not isinstance(value, tuple):
            kind = f"{len(value)} time series" if isinstance(value, list) else "a scalar"
            raise MathError(f"{self.expressions[self.result].text!r} gives {kind}, but an alarm watches one series")
        return value


# Parsing. The fields have the names of CloudFormation's properties.


class PropertyModel(BaseModel):
    """Properties of a template: a key that is not among them is an error; numbers may be strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class DimensionProperties(PropertyModel):
    """A dimension of a metric."""

    Name: str
    Value: str


class MetricProperties(PropertyModel):
    """A metric."""

    MetricName: str
    Namespace: str
    Dimensions: tuple[DimensionProperties, ...] = ()

    @property
    def metric(self) -> Metric:
        """The metric, as the store identifies it."""
        return Metric(self.Namespace, self.MetricName, frozenset((one.Name, one.Value) for one in self.Dimensions))


class MetricStatProperties(PropertyModel):
    """A statistic of a metric."""

    Metric: MetricProperties
    Period: int
    Stat: str
    Unit: str | None = None


class QueryProperties(PropertyModel):
    """A `MetricDataQuery`."""

    Id: str = Field(pattern=r"^[a-z][A-Za-z0-9_]*$")
    Expression: str | None = None
    MetricStat: MetricStatProperties | None = None
    Period: int | None = None
    Label: str | None = None
    ReturnData: bool = True
    AccountId: str | None = None


def read_metrics(name: str, queries: Sequence[QueryProperties]) -> MetricQuery | MathQuery:
    """Return the `Metrics` of an alarm.

    Args:
        name: Name of the alarm, for messages.
        queries: As written in the template.

    Raises:
        AlarmError: CloudWatch would refuse them, or they use a feature that is not evaluated here.
    """
    metrics: dict[str, MetricQuery] = {}
    expressions: dict[str, Expression] = {}
    for query in queries:
        if query.Id in metrics or query.Id in expressions:
            raise AlarmError(f"{name}: Metrics has the Id {query.Id!r} twice")
        if query.AccountId is not None:
            raise AlarmError(
                f"{name}: {query.Id} is a metric of the account {query.AccountId}: only metrics of the alarm's own "
                "account are supported"
            )
        if (query.MetricStat is None) == (query.Expression is None):
            raise AlarmError(f"{name}: {query.Id} must have either MetricStat or Expression")
        if query.MetricStat is not None:
            stat = query.MetricStat
            statistic = read_statistic(name, f"{query.Id}.Stat", stat.Stat)
            metrics[query.Id] = MetricQuery(stat.Metric.metric, statistic, stat.Period, stat.Unit)
        else:
            expressions[query.Id] = _expression(name, query.Id, query.Expression or "")
    returned = [query.Id for query in queries if query.ReturnData]
    if len(returned) != 1:
        found = ", ".join(returned) or "none"
        raise AlarmError(f"{name}: ReturnData must be true for exactly one of Metrics; it is true for {found}")
    periods = {query.period for query in metrics.values()}
    if len(periods) != 1:
        raise AlarmError(
            f"{name}: the metrics of an alarm must share one period; found {sorted(periods) or 'no metric'}"
        )
    if returned[0] in metrics:
        return metrics[returned[0]]
    math = MathQuery(metrics, _ordered(name, metrics, expressions), returned[0], periods.pop())
    try:
        # Whether the result is a series does not depend on the data.
        math.points(MetricStore(), [index * math.period for index in range(2)])
    except MathError as error:
        raise AlarmError(f"{name}: {error}") from None
    return math


def read_statistic(name: str, key: str, found: str) -> Statistic:
    """Return a statistic by its name.

    Raises:
        AlarmError: CloudWatch has no such statistic.
    """
    try:
        return Statistic.parse(found)
    except ValueError as error:
        raise AlarmError(f"{name}: {key}: {error}") from None


def _expression(name: str, identifier: str, text: str) -> Expression:
    if text.lstrip().upper().startswith("SELECT"):
        raise AlarmError(f"{name}: {identifier} is a query of Metrics Insights, which is not evaluated here")
    try:
        return Expression.parse(text)
    except MathError as error:
        raise AlarmError(f"{name}: {identifier}: {error}") from None


def _ordered(
    name: str, metrics: Mapping[str, MetricQuery], expressions: Mapping[str, Expression]
) -> dict[str, Expression]:
    """Return the expressions, each after those that it refers to."""
    ordered: dict[str, Expression] = {}

    def place(identifier: str, above: tuple[str, ...]) -> None:
        if identifier in above:
            raise AlarmError(f"{name}: {' → '.join((*above, identifier))} refer to each other in a circle")
        if identifier in ordered or identifier in metrics:
            return
        if identifier not in expressions:
            raise AlarmError(f"{name}: {above[-1]} refers to {identifier!r}, which is not an Id in Metrics")
        for used in sorted(expressions[identifier].ids):
            place(used, (*above, identifier))
        ordered[identifier] = expressions[identifier]

    for identifier in expressions:
        place(identifier, ())
    return ordered
