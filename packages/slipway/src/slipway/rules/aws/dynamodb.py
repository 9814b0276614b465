"""Rules on DynamoDB: its metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Resource, Templates

_METRICS = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"


def metrics_of(alarm: Resource) -> Iterator[dict[str, Any]]:
    """Yield the metrics that an alarm reads, including those in metric math.

    Args:
        alarm: An `AWS::CloudWatch::Alarm`.

    Yields:
        `Namespace`, `MetricName` and `Dimensions` as the template has them.
    """
    if alarm.get("MetricName") is not None:
        yield {key: alarm.get(key) for key in ("Namespace", "MetricName", "Dimensions")}
    for query in alarm.get("Metrics") or []:
        metric = query.get("MetricStat", {}).get("Metric")
        if metric is not None:
            yield metric


def _user_errors_of_a_table(templates: Templates) -> Iterator[Found]:
    for alarm in templates.of_type("AWS::CloudWatch::Alarm"):
        for metric in metrics_of(alarm):
            named = (metric.get("Namespace"), metric.get("MetricName")) == ("AWS/DynamoDB", "UserErrors")
            if named and metric.get("Dimensions"):
                yield Found(alarm.stack, alarm.logical_id)


RULES = (
    AwsRule(
        name="UserErrorsOfAccount",
        does="DynamoDB counts UserErrors for the whole account and region; the metric has no table dimension.",
        says="An alarm reads UserErrors with a dimension, and never gets a data point.",
        fix="Remove the dimensions, and say in the description that the alarm covers the whole account.",
        source=_METRICS,
        check=_user_errors_of_a_table,
        planted={
            "Alarm": {
                "Type": "AWS::CloudWatch::Alarm",
                "Properties": {
                    "Namespace": "AWS/DynamoDB",
                    "MetricName": "UserErrors",
                    "Dimensions": [{"Name": "TableName", "Value": "orders"}],
                },
            }
        },
    ),
)
