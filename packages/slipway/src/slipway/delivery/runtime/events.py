"""Read the events of a delivery from EventBridge.

Four kinds are AWS's, read as documented; a fifth kind is our own, from `drift_handlers`:
- CodePipeline: `CodePipeline Pipeline Execution State Change`, `… Stage Execution State Change` and `… Action Execution
  State Change` (https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html);
- CodeDeploy: `CodeDeploy Deployment State-change Notification`, relayed from the environments' accounts
  (https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html);
- CloudWatch: `CloudWatch Alarm State Change` and `… Configuration Change`, relayed likewise
  (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html);
- EventBridge's own `Scheduled Event`
  (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_ROLLBACK_TRIGGERS = frozenset({"AutomatedRollback", "ManualRollback"})


@dataclass(frozen=True)
class PipelineChange:
    """An execution of the pipeline started or ended."""

    at: datetime
    pipeline: str
    execution: str
    state: str
    is_rollback: bool


@dataclass(frozen=True)
class StageChange:
    """A stage of an execution started or ended."""

    at: datetime
    pipeline: str
    execution: str
    stage: str
    state: str


@dataclass(frozen=True)
class ApprovalWaiting:
    """A manual approval waits for an answer."""

    at: datetime
    pipeline: str
    execution: str
    stage: str


@dataclass(frozen=True)
class ApprovalCanceled:
    """A waiting manual approval was canceled because the pipeline was changed."""

    at: datetime
    pipeline: str
    execution: str
    stage: str


@dataclass(frozen=True)
class DeploymentChange:
    """A CodeDeploy deployment in an environment's account changed its state."""

    at: datetime
    account: str
    application: str
    deployment: str
    state: str


@dataclass(frozen=True)
class AlarmChange:
    """An alarm in an environment's account changed its state. The state of a deleted alarm is `DELETED`."""

    at: datetime
    account: str
    alarm: str
    state: str


DRIFT_SOURCE = "slipway.drift"
DRIFT_DETAIL_TYPE = "Slipway Drift Detected"


@dataclass(frozen=True)
class DriftFound:
    """Resources of an environment differ from their templates, or could not be read.

    Attributes:
        resources: Number of resources that differ.
        lines: One line per property that differs.
        unread: Resources that could not be compared, with the reason.
    """

    at: datetime
    account: str
    environment: str
    resources: int
    lines: tuple[str, ...]
    unread: tuple[str, ...]
    left_out: int = 0


@dataclass(frozen=True)
class Minute:
    """A minute has passed."""

    at: datetime


Change = (
    PipelineChange
    | StageChange
    | ApprovalWaiting
    | ApprovalCanceled
    | DeploymentChange
    | AlarmChange
    | DriftFound
    | Minute
)


def read(event: Mapping[str, Any]) -> Change | None:
    """Return the change that an event describes.

    Args:
        event: An EventBridge event.

    Returns:
        The change; None for an event that is not about a delivery.
    """
    detail = event.get("detail", {})
    at = datetime.fromisoformat(event["time"])
    match event.get("detail-type"):
        case "CodePipeline Pipeline Execution State Change":
            return PipelineChange(
                at=at,
                pipeline=detail["pipeline"],
                execution=detail["execution-id"],
                state=detail["state"],
                is_rollback="rollback-metadata" in detail
                or detail.get("execution-trigger", {}).get("trigger-type") in _ROLLBACK_TRIGGERS,
            )
        case "CodePipeline Stage Execution State Change":
            return StageChange(
                at=at,
                pipeline=detail["pipeline"],
                execution=detail["execution-id"],
                stage=detail["stage"],
                state=detail["state"],
            )
        case "CodePipeline Action Execution State Change":
            if detail.get("type", {}).get("category") != "Approval" or detail["state"] not in {"STARTED", "CANCELED"}:
                return None
            kind = ApprovalWaiting if detail["state"] == "STARTED" else ApprovalCanceled
            return kind(at=at, pipeline=detail["pipeline"], execution=detail["execution-id"], stage=detail["stage"])
        case "CodeDeploy Deployment State-change Notification":
            return DeploymentChange(
                at=at,
                account=event["account"],
                application=detail["application"],
                deployment=detail["deploymentId"],
                state=detail["state"],
            )
        case "CloudWatch Alarm State Change":
            # The event's own time has whole seconds, within which an alarm can change twice.
            since = datetime.fromisoformat(detail["state"]["timestamp"])
            return AlarmChange(
                at=since, account=event["account"], alarm=detail["alarmName"], state=detail["state"]["value"]
            )
        case "CloudWatch Alarm Configuration Change" if detail.get("operation") == "delete":
            return AlarmChange(at=at, account=event["account"], alarm=detail["alarmName"], state="DELETED")
        case _ if event.get("detail-type") == DRIFT_DETAIL_TYPE and event.get("source") == DRIFT_SOURCE:
            return _read_drift(event, at)
        case "Scheduled Event":
            return Minute(at=at)
        case _:
            return None


def _read_drift(event: Mapping[str, Any], at: datetime) -> DriftFound:
    detail = event["detail"]
    return DriftFound(
        at=at,
        account=event["account"],
        environment=detail["environment"],
        resources=detail["resources"],
        lines=tuple(detail["lines"]),
        unread=tuple(detail["unread"]),
        left_out=detail["left_out"],
    )
