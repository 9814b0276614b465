"""Read an environment's remaining error budgets from CloudWatch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from slipway.delivery.names import OBSERVABILITY, service_stack
from slipway.objectives.burn import WINDOWS, Indicator, Promise, promises
from slipway.settings.model import Objectives

if TYPE_CHECKING:
    import boto3

_API: Final = "AWS/ApiGateway"
_SERVER_ERRORS: Final = ("5XXError", "5xx")
_FINE, _COARSE = 300, 3_600
"""Period in seconds: CloudWatch keeps data points of five minutes for 63 days, and of an hour for 455
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html, "Metrics retention")."""


@dataclass(frozen=True)
class Budget:
    """Measurement of one objective.

    Attributes:
        service: Name of the service.
        promise: Its objective.
        requests: Number of requests in the objective's window.
        bad_percent: Share of bad requests, percent; None without requests.
        burn: Pair of windows → burn rate over the long one; None without requests.
    """

    service: str
    promise: Promise
    requests: float
    bad_percent: float | None
    burn: Mapping[str, float | None]

    @property
    def left(self) -> float | None:
        """The remaining budget, percent; below 0 if it is overspent."""
        return None if self.bad_percent is None else self.promise.budget_left(self.bad_percent)


class NotDeployedError(LookupError):
    """The alarm on the 5xx of a service's API, which leads to the API's metrics, does not exist."""


def survey_budgets(
    session: boto3.Session, *, environment: str, objectives: Mapping[str, Objectives], now: datetime | None = None
) -> Iterator[Budget]:
    """Yield each remaining budget, the services in the given order.

    Args:
        session: Session in the environment's account and region. It needs `cloudwatch:DescribeAlarms` and
            `cloudwatch:GetMetricData`.
        environment: Name of the environment.
        objectives: Service → its objectives.
        now: End of all windows. Default: now.

    Raises:
        NotDeployedError: A service is not deployed.
    """
    client, end = session.client("cloudwatch"), now or datetime.now(UTC)
    for service, promised in objectives.items():
        api = _api_alarm(client, f"{service_stack(environment, service, OBSERVABILITY)}-")
        for promise in promises(promised):
            days, longest = timedelta(days=promise.days), max(window.long for window in WINDOWS)
            coarse = _points(client, api, promise, end=end, length=days, period=_COARSE)
            fine = _points(client, api, promise, end=end, length=longest, period=_FINE)
            yield _budget(service, promise, coarse, fine, end)


@dataclass(frozen=True)
class _Point:
    """Number of requests in a period, and of bad ones among them."""

    at: datetime
    requests: float
    bad: float


def _budget(service: str, promise: Promise, coarse: Sequence[_Point], fine: Sequence[_Point], end: datetime) -> Budget:
    burn = {}
    for window in WINDOWS:
        bad = _bad_percent([point for point in fine if point.at >= end - window.long])
        burn[window.name] = None if bad is None else bad / promise.budget
    return Budget(service, promise, sum(point.requests for point in coarse), _bad_percent(coarse), burn)


def _bad_percent(points: Sequence[_Point]) -> float | None:
    requests = sum(point.requests for point in points)
    return 100 * sum(point.bad for point in points) / requests if requests else None


def _api_alarm(client: Any, prefix: str) -> Any:
    """Return the alarm on a service's 5xx, whose metric and dimensions identify the API."""
    for page in client.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix):
        for alarm in page["MetricAlarms"]:
            if alarm.get("Namespace") == _API and alarm.get("MetricName") in _SERVER_ERRORS:
                return alarm
    raise NotDeployedError(f"no alarm {prefix}… on 5xx of an API exists; deploy the service first")


def _points(client: Any, api: Any, promise: Promise, *, end: datetime, length: timedelta, period: int) -> list[_Point]:
    """Return the requests of a time range, good and bad, by period."""

    def query(name: str, metric: str, statistic: str) -> dict[str, Any]:
        of = {"Namespace": _API, "MetricName": metric, "Dimensions": api["Dimensions"]}
        return {"Id": name, "MetricStat": {"Metric": of, "Period": period, "Stat": statistic}}

    if promise.indicator is Indicator.LATENCY:
        bad = query("bad", "Latency", f"PR(:{promise.latency_ms})")
        requests = query("requests", "Latency", "SampleCount")
    else:
        bad = query("bad", api["MetricName"], "Sum")
        requests = query("requests", "Count", "Sum")
    found: dict[str, dict[datetime, float]] = {"requests": {}, "bad": {}}
    pages = client.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[requests, bad], StartTime=end - length, EndTime=end
    )
    for page in pages:
        for result in page["MetricDataResults"]:
            found[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
    return [_Point(at, number, _bad(promise, found["bad"].get(at), number)) for at, number in found["requests"].items()]


def _bad(promise: Promise, value: float | None, requests: float) -> float:
    if promise.indicator is Indicator.LATENCY:
        # The value is the share of requests within the time limit.
        return requests * (100 - (100.0 if value is None else value)) / 100
    return value or 0.0
