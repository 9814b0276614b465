"""Error budgets are queried from CloudWatch for the API that a service's alarm watches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from slipway.cloudwatch import Metric, MetricStore
from slipway.cloudwatch.statistics import Statistic
from slipway.objectives.survey import Budget, NotDeployedError, survey_budgets
from slipway.settings.model import Objectives

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PROMISED = Objectives(availability=99.0, latency_ms=500, latency_percent=90.0, window_days=28)
OF = {"ApiName": "shop-prod", "Stage": "live"}


class CloudWatch:
    """CloudWatch with one API's alarm and metrics; it computes the statistics itself."""

    def __init__(self, errors: str = "5XXError") -> None:
        self.store, self.errors = MetricStore(), errors

    def client(self, service: str) -> CloudWatch:
        assert service == "cloudwatch"
        return self

    def get_paginator(self, operation: str) -> _Pages:
        return _Pages({"describe_alarms": self._alarms, "get_metric_data": self._data}[operation])

    def answers(self, at: datetime, *, good: int, failed: int = 0, slow: int = 0) -> None:
        """Count requests: good ones, failed ones, and how many of the good ones were slow."""
        metrics = {
            "Count": ([1.0], [good + failed]),
            self.errors: ([1.0, 0.0], [failed, good]),
            "Latency": ([900.0, 100.0], [slow, good + failed - slow]),
        }
        for name, (values, counts) in metrics.items():
            self.store.put_values(Metric.of("AWS/ApiGateway", name, OF), values, at.timestamp(), counts=counts)

    def _alarms(self, **of: str) -> dict[str, Any]:
        dimensions = [{"Name": name, "Value": value} for name, value in OF.items()]
        alarms = [
            {"AlarmName": f"prod-shop-observability-{number}", "Dimensions": dimensions, **metric}
            for number, metric in enumerate(
                [
                    {"Namespace": "AWS/Lambda", "MetricName": "Errors"},
                    {"Namespace": "AWS/ApiGateway", "MetricName": self.errors},
                ]
            )
        ]
        return {
            "MetricAlarms": [alarm for alarm in alarms if str(alarm["AlarmName"]).startswith(of["AlarmNamePrefix"])]
        }

    def _data(self, **asked: Any) -> dict[str, Any]:
        results = []
        for query in asked["MetricDataQueries"]:
            of, period = query["MetricStat"]["Metric"], query["MetricStat"]["Period"]
            dimensions = {each["Name"]: each["Value"] for each in of["Dimensions"]}
            metric = Metric.of(of["Namespace"], of["MetricName"], dimensions)
            statistic = Statistic.parse(query["MetricStat"]["Stat"])
            found: list[tuple[datetime, float]] = []
            at = asked["StartTime"]
            while at < asked["EndTime"]:
                value = self.store.statistic(metric, statistic, at.timestamp(), at.timestamp() + period)
                found += [(at, value)] if value is not None else []
                at += timedelta(seconds=period)
            results.append(
                {"Id": query["Id"], "Timestamps": [each[0] for each in found], "Values": [each[1] for each in found]}
            )
        return {"MetricDataResults": results}


class _Pages:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def paginate(self, **asked: Any) -> Iterator[Any]:
        yield self._answer(**asked)


def _survey(aws: CloudWatch, service: str = "shop") -> tuple[Budget, Budget]:
    availability, latency = survey_budgets(
        aws,  # type: ignore[arg-type]
        environment="prod",
        objectives={service: PROMISED},
        now=NOW,
    )
    return availability, latency


@pytest.mark.parametrize("errors", ["5XXError", "5xx"])
def test_failures_of_the_window_use_up_the_budget(errors: str) -> None:
    # Given that 1 % of requests may fail, and half of that failed twenty days ago
    aws = CloudWatch(errors)
    aws.answers(NOW - timedelta(days=20), good=995, failed=5)

    availability, latency = _survey(aws)

    assert availability.requests == 1_000
    assert availability.left == pytest.approx(50)
    assert availability.burn == {"Fast": None, "Medium": None, "Slow": None}
    assert latency.left == pytest.approx(100)


def test_recent_failures_burn_in_each_window() -> None:
    # Given 900 good requests ten hours ago, and 10 % failures half an hour ago
    aws = CloudWatch()
    aws.answers(NOW - timedelta(hours=10), good=900)
    aws.answers(NOW - timedelta(minutes=30), good=90, failed=10)

    availability, _ = _survey(aws)

    assert availability.burn == {"Fast": pytest.approx(10), "Medium": pytest.approx(10), "Slow": pytest.approx(1)}
    assert availability.left == pytest.approx(0)


def test_late_answers_use_up_the_budget_of_latency() -> None:
    aws = CloudWatch()
    aws.answers(NOW - timedelta(hours=2), good=100, slow=20)

    availability, latency = _survey(aws)

    assert latency.bad_percent == pytest.approx(20)
    assert latency.left == pytest.approx(-100)
    assert availability.left == pytest.approx(100)


def test_without_requests_nothing_is_known() -> None:
    availability, latency = _survey(CloudWatch())

    assert (availability.left, latency.left, availability.requests) == (None, None, 0)


def test_a_service_that_is_not_deployed_is_named() -> None:
    with pytest.raises(NotDeployedError, match="no alarm prod-other-observability-"):
        _survey(CloudWatch(), "other")
