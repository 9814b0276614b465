"""Alarms on how fast a service's error budget burns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.http import HttpEntry
from slipway.blocks.messaging import AlarmTopic
from slipway.blocks.rest import RestEntry
from slipway.objectives.burn import WINDOWS, BurnWindow, Indicator, Promise, promises
from slipway.settings.model import Objectives

OUTSIDE_BAKE = "SetOffByCallersOrBefore"
"""Part of the name of every alarm that says nothing about the release that bakes (slipway.delivery.relay): alarms on
single windows, on slow burns that may have begun earlier, and on latency, which callers can cause by their requests.
It begins with `slipway.blocks.alarms.SET_OFF_BY_CALLERS`: AWS documents `anything-but` with a single `wildcard`, not
with a list."""

_IN_THE_BAKE = (Indicator.AVAILABILITY, "Fast")


class ObjectiveAlarms(Construct):
    """For each objective and pair of windows, an alarm that is active while the budget burns too fast in both windows.

    All metrics of an expression in an alarm share its period, so a pair of windows takes two alarms and a composite one
    that joins them. A window is one period of an alarm, at most seven days long
    (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html, "Period"), and slides at
    each evaluation (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html).

    The composite alarms notify people. Of them, only the fast burn of availability counts in a bake: it is based on 5xx
    only, and its short window ends it within minutes after the failures.

    Args:
        scope: The service's alarms.
        construct_id: Id in it.
        objectives: The objectives.
        api: The API that they apply to.
        topic: The topic that the alarms notify.
        runbook: End of the alarms' descriptions, with the link to the runbook.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        objectives: Objectives,
        api: RestEntry | HttpEntry,
        topic: AlarmTopic,
        runbook: str,
    ) -> None:
        super().__init__(scope, construct_id)
        self._api = api
        self._topic = topic
        self._runbook = runbook
        self._outside = Construct(self, OUTSIDE_BAKE)
        for promise in promises(objectives):
            for window in WINDOWS:
                self._pair(promise, window)

    def _pair(self, promise: Promise, window: BurnWindow) -> None:
        name = f"{promise.indicator.title()}{window.name}"
        share, rate = promise.bad_share(window), window.rate(promise.days)
        parts = [
            self._window(f"{name}{length}", promise, over, share)
            for length, over in (("Long", window.long), ("Short", window.short))
        ]
        counts = (promise.indicator, window.name) == _IN_THE_BAKE
        # The L1, because the L2 derives a name from the path, which contains the environment.
        alarm = cloudwatch.CfnCompositeAlarm(
            self if counts else self._outside,
            name,
            alarm_rule=" AND ".join(f'ALARM("{part.alarm_name}")' for part in parts),
            alarm_description=f"The error budget of {promise.indicator} burns at a rate of {rate:.3g} or more over "
            f"{_said(window.long)}, and still does. {self._runbook}",
            alarm_actions=[self._topic.topic_arn],
            ok_actions=[self._topic.topic_arn],
        )
        alarm.node.add_dependency(*parts)

    def _window(self, construct_id: str, promise: Promise, over: timedelta, share: float) -> cloudwatch.Alarm:
        metric, threshold, operator = bad_requests(
            self._api, promise, Duration.seconds(int(over.total_seconds())), share
        )
        alarm = cloudwatch.Alarm(
            self._outside,
            construct_id,
            alarm_description=f"{share:.3g} % of the requests within {_said(over)} miss the objective of "
            f"{promise.indicator}: one of two windows. {self._runbook}",
            metric=metric,
            threshold=threshold,
            comparison_operator=operator,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        accept(
            alarm,
            "NIST.800.53.R5-CloudWatchAlarmAction",
            "HIPAA.Security-CloudWatchAlarmAction",
            reason="It covers one of two windows: the composite alarm that joins them notifies people.",
        )
        return alarm


def bad_requests(
    api: RestEntry | HttpEntry, promise: Promise, period: Duration, share: float
) -> tuple[cloudwatch.IMetric, float, cloudwatch.ComparisonOperator]:
    """Return the metric for a share of bad requests, its threshold for the share, and the comparison.

    Args:
        api: The API.
        promise: The objective.
        period: Period over which the share is measured.
        share: Share of bad requests, percent.
    """
    operator = cloudwatch.ComparisonOperator
    if promise.latency_ms is not None:
        # "PR(:300)": the percentage of values that are 300 or less
        # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html).
        in_time = api.stage.metric_latency(period=period, statistic=f"PR(:{promise.latency_ms})")
        return in_time, round(100 - share, 6), operator.LESS_THAN_THRESHOLD
    if isinstance(api, RestEntry):
        # "The Average statistic represents the 5XXError error rate"
        # (https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html).
        failed = api.stage.metric_server_error(period=period, statistic="Average")
        return failed, round(share / 100, 8), operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    # For HTTP APIs, AWS documents no such average
    # (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html).
    return _failed_of_all(api, period), share, operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD


def _failed_of_all(api: RestEntry | HttpEntry, period: Duration) -> cloudwatch.MathExpression:
    return cloudwatch.MathExpression(
        expression="100 * failed / requests",
        using_metrics={
            "failed": api.stage.metric_server_error(period=period, statistic="Sum"),
            "requests": api.stage.metric_count(period=period, statistic="Sum"),
        },
        period=period,
        label="5xx of all, %",
    )


def objective_widgets(objectives: Objectives, api: RestEntry | HttpEntry) -> Sequence[cloudwatch.IWidget]:
    """Return the dashboard's row: how much of each budget is left over its whole window, and how fast it burns.

    Args:
        objectives: The objectives.
        api: The API that they apply to.
    """
    widgets: list[cloudwatch.IWidget] = []
    for promise in promises(objectives):
        widgets += [_gauge(promise, api), _burning(promise, api)]
    return widgets


def _gauge(promise: Promise, api: RestEntry | HttpEntry) -> cloudwatch.IWidget:
    # At most a day: a longer period is useless in a graph, and the widget covers its whole range anyway.
    bad, metrics = _bad_percent(promise, api, Duration.days(1))
    return cloudwatch.GaugeWidget(
        title=f"Budget left of {promise.days} days: {promise.indicator} {promise.percent:g} %",
        metrics=[
            cloudwatch.MathExpression(
                expression=f"100 - 100 * ({bad}) / {promise.budget:.6g}",
                using_metrics=metrics,
                label="% of the budget left",
                period=Duration.days(1),
            )
        ],
        start=f"-P{promise.days}D",
        set_period_to_time_range=True,
        left_y_axis=cloudwatch.YAxisProps(min=-100, max=100),
        width=6,
    )


def _burning(promise: Promise, api: RestEntry | HttpEntry) -> cloudwatch.IWidget:
    hour = Duration.hours(1)
    bad, metrics = _bad_percent(promise, api, hour)
    return cloudwatch.GraphWidget(
        title=f"Burn rate: {promise.indicator}, over an hour",
        left=[
            cloudwatch.MathExpression(
                expression=f"({bad}) / {promise.budget:.6g}", using_metrics=metrics, label="Burn rate", period=hour
            )
        ],
        left_y_axis=cloudwatch.YAxisProps(min=0, label="times as allowed", show_units=False),
        left_annotations=[
            cloudwatch.HorizontalAnnotation(
                value=round(window.rate(promise.days), 3), label=f"{window.name.lower()}: over {_said(window.long)}"
            )
            for window in WINDOWS
        ],
        legend_position=cloudwatch.LegendPosition.BOTTOM,
        width=6,
    )


def _bad_percent(
    promise: Promise, api: RestEntry | HttpEntry, period: Duration
) -> tuple[str, dict[str, cloudwatch.IMetric]]:
    if promise.latency_ms is not None:
        in_time = api.stage.metric_latency(period=period, statistic=f"PR(:{promise.latency_ms})")
        return "100 - intime", {"intime": in_time}
    return "100 * failed / requests", dict(_failed_of_all(api, period).using_metrics)


def _said(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    for size, unit in ((1_440, "d"), (60, "h")):
        if minutes % size == 0:
            return f"{minutes // size} {unit}"
    return f"{minutes} min"
