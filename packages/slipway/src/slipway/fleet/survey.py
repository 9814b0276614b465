"""Read versions, delivery times, active alarms and remaining error budgets from an environment's account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from slipway.objectives.survey import NotDeployedError, survey_budgets
from slipway.settings import Environment

if TYPE_CHECKING:
    import boto3


@dataclass(frozen=True)
class Deployed:
    """One service in one environment.

    Attributes:
        environment: Name of the environment.
        service: Name of the service.
        status: State of its compute stack; None if the service isn't deployed.
        delivered: When that stack was last changed.
        versions: Function, without the stack's name → the version that `live` points to.
        alarms: Names of its active alarms, without the stack's name.
        budgets: Objective → remaining error budget, percent; None without requests.
    """

    environment: str
    service: str
    status: str | None
    delivered: datetime | None
    versions: Mapping[str, str]
    alarms: tuple[str, ...]
    budgets: Mapping[str, float | None]


def survey_fleet(session: boto3.Session, environment: Environment) -> Iterator[Deployed]:
    """Yield the state of each service of an environment.

    Args:
        session: Session in the environment's account and region. It needs `cloudformation:DescribeStacks`,
            `lambda:ListFunctions`, `lambda:GetAlias`, `cloudwatch:DescribeAlarms` and `cloudwatch:GetMetricData`.
        environment: Settings of the environment.
    """
    functions = session.client("lambda")
    names = [
        each["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for each in page["Functions"]
    ]
    for service in environment.services.names:
        prefix = f"{environment.name}-{service}-"
        stack = _stack(session, f"{prefix}compute")
        yield Deployed(
            environment=environment.name,
            service=service,
            status=stack and stack["StackStatus"],
            delivered=stack and (stack.get("LastUpdatedTime") or stack["CreationTime"]),
            versions=dict(_versions(functions, names, f"{prefix}compute-")),
            alarms=tuple(sorted(_active(session, prefix))),
            budgets=_budgets(session, environment, service),
        )


def _stack(session: boto3.Session, name: str) -> Any:
    try:
        return session.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        # CloudFormation's answer for a stack that doesn't exist.
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def _versions(functions: Any, names: list[str], prefix: str) -> Iterator[tuple[str, str]]:
    for name in sorted(names):
        # Contract checks and probes have no callers.
        if not name.startswith(prefix) or "DeploymentHook" in name or name.startswith(f"{prefix}Probe"):
            continue
        try:
            alias = functions.get_alias(FunctionName=name, Name="live")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            continue
        yield name.removeprefix(prefix).partition("-")[0][:-8], alias["FunctionVersion"]


def _active(session: boto3.Session, prefix: str) -> Iterator[str]:
    pages = (
        session.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=prefix, StateValue="ALARM", AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    )
    for page in pages:
        for alarm in (*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])):
            # The emulator ignores both filters.
            if alarm["AlarmName"].startswith(prefix) and alarm["StateValue"] == "ALARM":
                yield alarm["AlarmName"].removeprefix(prefix).partition("-")[2].partition("-")[0][:-8]


def _budgets(session: boto3.Session, environment: Environment, service: str) -> Mapping[str, float | None]:
    objectives = getattr(getattr(environment.services, service), "slo", None)
    if objectives is None:
        return {}
    try:
        found = list(survey_budgets(session, environment=environment.name, objectives={service: objectives}))
    except NotDeployedError:
        return {}
    return {each.promise.indicator.value: each.left for each in found}
