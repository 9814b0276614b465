"""Survey every function of an environment, on AWS or on the emulator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from slipway.cost.prices import Prices
from slipway.sizing.advice import Advice, advise
from slipway.sizing.reports import read_reports

if TYPE_CHECKING:
    import boto3

MONTH: Final = timedelta(days=30)


@dataclass(frozen=True)
class Sized:
    """One function, with the advice from its reports.

    Attributes:
        function: Its name in AWS.
        service: The service it belongs to.
        invocations: Invocations in the period.
        sampled: True if only some of its reports were read.
        advice: About its memory.
    """

    function: str
    service: str
    invocations: int
    sampled: bool
    advice: Advice


def survey_functions(
    session: boto3.Session,
    *,
    environment: str,
    services: tuple[str, ...],
    prices: Prices,
    period: timedelta,
    limit: int,
) -> Iterator[Sized]:
    """Yield the advice on each function, the services in the order given.

    Args:
        session: Session in the environment's account and region. It needs `lambda:ListFunctions`,
            `logs:FilterLogEvents` and `cloudwatch:GetMetricStatistics`.
        environment: Name of the environment.
        services: Names of the services.
        prices: AWS's prices.
        period: Period to look back.
        limit: Maximum number of reports per function.
    """
    end = datetime.now(UTC)
    functions = list(_functions(session))
    for service in services:
        prefix = f"{environment}-{service}-"
        for function in functions:
            if function["FunctionName"].startswith(prefix):
                yield _size(session, function, service, prices=prices, start=end - period, end=end, limit=limit)


def _functions(session: boto3.Session) -> Iterator[Any]:
    for page in session.client("lambda").get_paginator("list_functions").paginate():
        yield from page["Functions"]


def _size(
    session: boto3.Session, function: Any, service: str, *, prices: Prices, start: datetime, end: datetime, limit: int
) -> Sized:
    name = function["FunctionName"]
    logging = function.get("LoggingConfig", {})
    sample = read_reports(
        session.client("logs"),
        logging.get("LogGroup", f"/aws/lambda/{name}"),
        start,
        end,
        log_format=logging.get("LogFormat", "Text"),
        limit=limit,
    )
    # Metrics arrive after the reports.
    invocations = max(_invocations(session, name, start, end), len(sample.reports))
    rates = prices.lambda_.arm64 if function.get("Architectures") == ["arm64"] else prices.lambda_.x86_64
    advice = advise(
        sample.reports,
        size=function["MemorySize"],
        invocations=Decimal(invocations) * Decimal(MONTH / (end - start)),
        duration=rates.duration,
    )
    return Sized(name, service, invocations, not sample.complete, advice)


def _invocations(session: boto3.Session, function: str, start: datetime, end: datetime) -> int:
    """Return the sum of the metric `Invocations`.

    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    """
    answer = session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": function}],
        StartTime=start,
        EndTime=end,
        Period=86_400,
        Statistics=["Sum"],
    )
    return round(sum(point["Sum"] for point in answer["Datapoints"]))
