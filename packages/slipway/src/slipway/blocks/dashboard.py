"""The dashboard of a service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, TypeAlias, cast

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from slipway.blocks.function import ServiceFunction
from slipway.blocks.http import HttpEntry
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.objectives import OUTSIDE_BAKE, objective_widgets
from slipway.blocks.probe import ServiceProbe
from slipway.blocks.rest import RestEntry
from slipway.blocks.table import ServiceTable
from slipway.settings.model import Objectives

_PERIOD_MINUTES = 1
PERIOD = Duration.minutes(_PERIOD_MINUTES)
PROVISIONED_PERIOD = Duration.minutes(5)
"""DynamoDB publishes provisioned capacity every five minutes."""

FULL = 24
THIRD = 8

_COLOR = cloudwatch.Color
_PLAIN = (_COLOR.BLUE, _COLOR.PURPLE, _COLOR.GREEN, _COLOR.BROWN)
_PERCENTILES = {"p50": _COLOR.BLUE, "p90": _COLOR.ORANGE, "p99": _COLOR.PURPLE}
"""Colours of the percentiles. Red is reserved for failures and alarm thresholds."""

_SIGNS = {"GreaterThanThreshold": ">", "GreaterThanOrEqualToThreshold": "≥", "LessThanThreshold": "<"}


class ServiceDashboard(Construct):
    """The first page for a person on call: a row of key figures, then the path of a request from the API to the tables.

    A graph draws the thresholds of its stack's alarms on its metrics, and metrics with an alarm but no graph get one in
    the last row: so create the alarms first.

    Args:
        scope: The observability stack.
        construct_id: Id in it.
        functions: Its functions by name.
        tables: Its tables by name.
        dead_letters: Its dead-letter queue.
        queues: Its other queues by name, including the dead letters of each. Default: none.
        api: Its API. Default: none; the first row then shows the first function.
        probe: Its probe. Default: none.
        objectives: Objectives of its API. Default: none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        api: RestEntry | HttpEntry | None = None,
        functions: Mapping[str, ServiceFunction],
        tables: Mapping[str, ServiceTable],
        dead_letters: DeadLetterQueue,
        queues: Mapping[str, sqs.IQueue] | None = None,
        probe: ServiceProbe | None = None,
        objectives: Objectives | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = Stack.of(self)
        alarms = [alarm for alarm in stack.node.find_all() if isinstance(alarm, cloudwatch.Alarm)]
        # Alarms on single windows of an objective: the objectives' row draws them all.
        self._alarms = [_Alarm.of(alarm) for alarm in alarms if f"/{OUTSIDE_BAKE}/" not in alarm.node.path]
        self._drawn: set[_Key] = set()
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=stack.stack_name,
            # Otherwise a longer range changes the minutes of the titles and thresholds to hours.
            period_override=cloudwatch.PeriodOverride.INHERIT,
        )
        everything = {**(queues or {}), "Dead letters": dead_letters}
        dead = {name: queue for name, queue in everything.items() if isinstance(queue, DeadLetterQueue)}
        waiting = {name: queue for name, queue in everything.items() if name not in dead}
        rows = [
            *(self._api_rows(api) if api else [self._figures_of(next(iter(functions.values())))]),
            *([objective_widgets(objectives, api)] if objectives and api else []),
            *([self._probe_row(probe)] if probe else []),
            [self._moves(functions)],
            *(self._function_row(f"{name} function", function) for name, function in functions.items()),
            *([self._queue_row("Queues", waiting)] if waiting else []),
            self._queue_row("Dead letters", dead),
            *(self._table_row(f"{name} table", table) for name, table in tables.items()),
            *self._rows_of_other_alarms(),
        ]
        for row in rows:
            self.dashboard.add_widgets(*row)

    @property
    def url(self) -> str:
        """Return the dashboard's address in the console."""
        stack = Stack.of(self)
        return (
            f"https://{stack.region}.console.aws.amazon.com/cloudwatch/home"
            f"?region={stack.region}#dashboards/dashboard/{stack.stack_name}"
        )

    def _api_rows(self, api: RestEntry | HttpEntry) -> Iterator[list[cloudwatch.IWidget]]:
        stage = api.stage
        requests = stage.metric_count(period=PERIOD, statistic="Sum", label="Requests", color=_COLOR.BLUE)
        latency = {
            name: stage.metric_latency(period=PERIOD, statistic=name, label=name, color=color)
            for name, color in _PERCENTILES.items()
        }
        client_errors = stage.metric_client_error(period=PERIOD, statistic="Sum", label="4xx", color=_COLOR.ORANGE)
        server_errors = stage.metric_server_error(period=PERIOD, statistic="Sum", label="5xx", color=_COLOR.RED)
        error_rate = cloudwatch.MathExpression(
            expression="100 * errors / IF(requests > 0, requests, 1)",
            using_metrics={"errors": server_errors, "requests": requests},
            label="5xx of all",
            period=PERIOD,
            color=_COLOR.RED,
        )
        yield [
            _value("Requests, last minute", requests),
            _value("Latency p90, ms", latency["p90"]),
            _value("Error rate, %", error_rate),
        ]
        yield [
            self._graph("API: requests", requests, axis="a minute", width=THIRD),
            self._graph("API: latency", *latency.values(), axis="milliseconds", width=THIRD),
            self._graph("API: refused and failed", client_errors, server_errors, axis="per minute", width=THIRD),
        ]

    def _moves(self, functions: Mapping[str, ServiceFunction]) -> cloudwatch.IWidget:
        """Return the graph that marks deployments: the invocations of each version while an alias has two of them.

        An annotation has a fixed time, and no template knows when it will be deployed. But Lambda
        counts by `ExecutedVersion` while an alias shares its traffic
        (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-view.html), and a search also finds later
        versions (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html). A
        function whose traffic moves all at once leaves no mark.
        """
        schema = "{AWS/Lambda,FunctionName,Resource,ExecutedVersion}"
        searches = [
            cloudwatch.MathExpression(
                expression=f'SEARCH(\'{schema} FunctionName="{function.function.function_name}" '
                f"MetricName=\"Invocations\"', 'Sum', {PERIOD.to_seconds():.0f})",
                using_metrics={},
                label=f"{name} ${{PROP('Dim.ExecutedVersion')}}",
                period=PERIOD,
            )
            for name, function in functions.items()
        ]
        return cloudwatch.GraphWidget(
            title="Deployments: invocations of each version while traffic moves",
            left=searches,
            left_y_axis=cloudwatch.YAxisProps(min=0, label="a minute", show_units=False),
            legend_position=cloudwatch.LegendPosition.BOTTOM,
            width=FULL,
            height=4,
        )

    def _probe_row(self, probe: ServiceProbe) -> list[cloudwatch.IWidget]:
        success = probe.metric("ProbeSuccess", statistic="Minimum", label="Contract checks pass").with_(
            color=_COLOR.GREEN
        )
        unanswered = probe.metric("ProbeUnanswered", statistic="Minimum", label="Not let through").with_(
            color=_COLOR.ORANGE
        )
        latency = [
            probe.metric("ProbeLatency", statistic=statistic, label=statistic).with_(color=color)
            for statistic, color in _PERCENTILES.items()
        ]
        return [
            self._graph("Probe: answers", success, unanswered, axis="1: yes, 0: no", width=FULL // 2),
            self._graph("Probe: latency", *latency, axis="milliseconds", width=FULL // 2),
        ]

    def _figures_of(self, function: ServiceFunction) -> list[cloudwatch.IWidget]:
        """Return the first row of a service without an API: the figures of the function that receives its work."""
        of = function.function
        invocations = of.metric_invocations(period=PERIOD, statistic="Sum", label="Invocations", color=_COLOR.BLUE)
        errors = of.metric_errors(period=PERIOD, statistic="Sum", label="Errors", color=_COLOR.RED)
        duration = of.metric_duration(period=PERIOD, statistic="p90", label="p90", color=_PERCENTILES["p90"])
        error_rate = cloudwatch.MathExpression(
            expression="100 * errors / IF(invocations > 0, invocations, 1)",
            using_metrics={"errors": errors, "invocations": invocations},
            label="Failed of all",
            period=PERIOD,
            color=_COLOR.RED,
        )
        return [
            _value("Invocations, last minute", invocations),
            _value("Duration p90, ms", duration),
            _value("Error rate, %", error_rate),
        ]

    def _function_row(self, name: str, function: ServiceFunction) -> list[cloudwatch.IWidget]:
        of = function.function
        reserved = function.settings.reserved_concurrency
        width = FULL // 4
        return [
            self._graph(
                f"{name}: invocations",
                of.metric_invocations(period=PERIOD, statistic="Sum", label="Invocations", color=_COLOR.BLUE),
                axis="a minute",
                width=width,
            ),
            self._graph(
                f"{name}: errors and throttles",
                of.metric_errors(period=PERIOD, statistic="Sum", label="Errors", color=_COLOR.RED),
                of.metric_throttles(period=PERIOD, statistic="Sum", label="Throttles", color=_COLOR.ORANGE),
                axis="a minute",
                width=width,
            ),
            self._graph(
                f"{name}: duration",
                *(
                    of.metric_duration(period=PERIOD, statistic=statistic, label=statistic, color=color)
                    for statistic, color in _PERCENTILES.items()
                ),
                axis="milliseconds",
                width=width,
            ),
            self._graph(
                f"{name}: concurrency",
                of.metric(
                    "ConcurrentExecutions", period=PERIOD, statistic="Maximum", label="At once", color=_COLOR.BLUE
                ),
                axis="concurrent executions",
                width=width,
                lines=[
                    cloudwatch.HorizontalAnnotation(value=reserved, label=f"reserved: {reserved}", color=_COLOR.GREY)
                ]
                if reserved
                else [],
            ),
        ]

    def _queue_row(self, name: str, queues: Mapping[str, sqs.IQueue]) -> list[cloudwatch.IWidget]:
        colors = dict(zip(queues, cycle(_PLAIN), strict=False))
        return [
            self._graph(
                f"{name}: messages waiting",
                *(
                    queue.metric_approximate_number_of_messages_visible(
                        period=PERIOD, statistic="Maximum", label=label, color=colors[label]
                    )
                    for label, queue in queues.items()
                ),
                axis="messages",
                width=FULL // 2,
            ),
            self._graph(
                f"{name}: age of the oldest message",
                *(
                    queue.metric_approximate_age_of_oldest_message(
                        period=PERIOD, statistic="Maximum", label=label, color=colors[label]
                    )
                    for label, queue in queues.items()
                ),
                axis="seconds",
                width=FULL // 2,
            ),
        ]

    def _table_row(self, name: str, table: ServiceTable) -> list[cloudwatch.IWidget]:
        colors, others = {"Read": _COLOR.ORANGE, "Write": _COLOR.RED}, cycle(_PLAIN)
        throttles: list[cloudwatch.IMetric] = [
            _of_table(table, f"{kind}ThrottleEvents", label=f"{kind}s", color=color) for kind, color in colors.items()
        ]
        # A throttled index stops the table's writes, and is counted separately from the table.
        for alarm in self._alarms:
            index = alarm.dimensions.get("GlobalSecondaryIndexName")
            if index is not None and alarm.dimensions.get("TableName") == table.table_name:
                kind = alarm.label.removesuffix("ThrottleEvents")
                throttles.append(alarm.metric.with_(label=f"{kind}s of {index}", color=next(others)))
        return [
            self._graph(f"{name}: capacity", *_capacity(table), axis="units per second", width=FULL // 2),
            self._graph(f"{name}: throttled", *throttles, axis="requests per minute", width=FULL // 2),
        ]

    def _rows_of_other_alarms(self) -> Iterator[list[cloudwatch.IWidget]]:
        left = [alarm for alarm in self._alarms if alarm.key not in self._drawn]
        for start in range(0, len(left), FULL // THIRD):
            row = left[start : start + FULL // THIRD]
            yield [
                self._graph(
                    f"Alarm {alarm.name}",
                    alarm.metric.with_(label=alarm.label),
                    width=FULL // len(row),
                )
                for alarm in row
            ]

    def _graph(
        self,
        title: str,
        *metrics: cloudwatch.IMetric,
        axis: str | None = None,
        width: int,
        lines: Sequence[cloudwatch.HorizontalAnnotation] = (),
    ) -> cloudwatch.GraphWidget:
        """Return a graph of lines from zero up, with the thresholds of their alarms.

        `axis` names the unit. Default: the metric's own unit.
        """
        return cloudwatch.GraphWidget(
            title=title,
            left=list(metrics),
            left_y_axis=cloudwatch.YAxisProps(min=0, label=axis, show_units=axis is None),
            left_annotations=[*self._thresholds(metrics), *lines],
            legend_position=cloudwatch.LegendPosition.BOTTOM,
            width=width,
        )

    def _thresholds(self, metrics: Sequence[cloudwatch.IMetric]) -> Iterator[cloudwatch.HorizontalAnnotation]:
        """Yield one line per threshold, since two at the same height would overlap."""
        conditions: dict[float, dict[str, list[str]]] = {}
        alarmed = {alarm.key[1] for alarm in self._alarms}
        for metric in metrics:
            # Most lines have no alarm, and computing the whole key takes three more jsii calls.
            if not isinstance(metric, _METRICS) or _name(metric) not in alarmed:
                continue
            key = _key(metric)
            for alarm in self._alarms:
                if alarm.key == key:
                    self._drawn.add(key)
                    conditions.setdefault(alarm.threshold, {}).setdefault(alarm.condition, []).append(str(metric.label))
        for value, labels in conditions.items():
            parts = []
            for condition, names in labels.items():
                # A single line, or a threshold that all lines share, needs no name.
                whose = "" if len(metrics) == 1 else "any " if len(names) == len(metrics) else f"{', '.join(names)} "
                parts.append(f"{whose}{condition}")
            yield cloudwatch.HorizontalAnnotation(value=value, label=f"alarm: {'; '.join(parts)}", color=_COLOR.RED)


_METRICS = (cloudwatch.Metric, cloudwatch.MathExpression)


def _name(metric: cloudwatch.Metric | cloudwatch.MathExpression) -> str:
    """Return the part of a key that distinguishes most metrics."""
    return metric.expression if isinstance(metric, cloudwatch.MathExpression) else metric.metric_name


_Key: TypeAlias = tuple[str, str, frozenset[tuple[str, str]], str]


def _key(metric: cloudwatch.Metric | cloudwatch.MathExpression) -> _Key:
    """Return a metric's identity without its period: alarms and graphs may differ in that.

    Each of the four parts is a jsii call: compute it once per metric. For an expression, return the expression and the
    keys of its metrics.
    """
    if isinstance(metric, cloudwatch.MathExpression):
        of = frozenset(
            (name, repr(_key(cast("cloudwatch.Metric", each)))) for name, each in metric.using_metrics.items()
        )
        return "", _name(metric), of, ""
    return metric.namespace, _name(metric), frozenset((metric.dimensions or {}).items()), metric.statistic


def _key_of(alarm: Mapping[str, Any]) -> _Key:
    """Return the key of the one metric in an alarm's properties."""
    dimensions = frozenset((each["name"], each["value"]) for each in alarm.get("dimensions") or ())
    return alarm["namespace"], alarm["metricName"], dimensions, alarm.get("statistic") or alarm["extendedStatistic"]


@dataclass(frozen=True)
class _Alarm:
    name: str
    metric: cloudwatch.Metric | cloudwatch.MathExpression
    label: str
    """Name of the metric where a graph shows it alone."""
    key: _Key
    dimensions: Mapping[str, str]
    threshold: float
    condition: str
    """The alarm's condition, as text."""

    @classmethod
    def of(cls, alarm: cloudwatch.Alarm) -> _Alarm:
        node, metric = alarm.node, cast("cloudwatch.Metric | cloudwatch.MathExpression", alarm.metric)
        # One jsii call instead of one per property.
        properties = cast("cloudwatch.CfnAlarm", node.default_child)._cfn_properties
        threshold = cast("float", properties["threshold"])
        of_math = isinstance(metric, cloudwatch.MathExpression)
        key = _key(metric) if of_math else _key_of(properties)
        label = str(metric.label) if isinstance(metric, cloudwatch.MathExpression) else key[1]
        minutes = properties["period"] / 60 if properties.get("period") else metric.period.to_minutes()
        condition = f"{_SIGNS[cast('str', properties['comparisonOperator'])]} {threshold:,g}"
        if minutes != _PERIOD_MINUTES:
            condition += f" in {minutes:g} min"
        times = cast("float", properties["evaluationPeriods"])
        if times > 1:
            condition += f", {times:g} times in a row"
        return cls(node.id, metric, label, key, {} if of_math else dict(key[2]), threshold, condition)


def _capacity(table: ServiceTable) -> Iterator[cloudwatch.IMetric]:
    """Yield consumed units per second, as capacity is provisioned, and the provisioned capacity if any."""
    provisioned = cast("dynamodb.CfnTable", table.node.default_child).provisioned_throughput is not None
    for kind, color, lighter in (("Read", _COLOR.BLUE, "#aec7e8"), ("Write", _COLOR.PURPLE, "#c5b0d5")):
        name = kind.lower()
        consumed = _of_table(table, f"Consumed{kind}CapacityUnits", label=f"{kind} units")
        yield cloudwatch.MathExpression(
            expression=f"{name} / PERIOD({name})",
            using_metrics={name: consumed},
            label=f"{kind} consumed",
            period=PERIOD,
            color=color,
        )
        if provisioned:
            yield _of_table(table, f"Provisioned{kind}CapacityUnits", label=f"{kind} provisioned", color=lighter).with_(
                statistic="Average", period=PROVISIONED_PERIOD
            )


def _of_table(table: ServiceTable, metric: str, *, label: str, color: str | None = None) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name=metric,
        dimensions_map={"TableName": table.table_name},
        statistic="Sum",
        period=PERIOD,
        label=label,
        color=color,
    )


def _value(title: str, metric: cloudwatch.IMetric) -> cloudwatch.SingleValueWidget:
    return cloudwatch.SingleValueWidget(title=title, metrics=[metric], width=THIRD)
