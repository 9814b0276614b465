"""Notifications about a delivery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slipway.delivery.runtime.events import (
    AlarmChange,
    ApprovalCanceled,
    ApprovalWaiting,
    Change,
    DeploymentChange,
    DriftFound,
    PipelineChange,
    StageChange,
)

CANCELED = "CANCELED"
"""State of an execution, a stage or an action that was ended by a change of the pipeline's structure.

https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""

_EXECUTION = {
    CANCELED: "was canceled: the pipeline was changed",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "STOPPED": "was stopped",
    "SUPERSEDED": "was superseded by a newer one",
}
_DEPLOYMENT = {"FAILURE": "failed and was rolled back", "STOP": "was stopped and rolled back"}

SUBJECT_LIMIT = 100
"""Maximum length of a subject in SNS."""


@dataclass(frozen=True)
class Message:
    """A subject and a few lines."""

    subject: str
    text: str
    chat_only: bool = False
    """True if the environment's own topic has already notified people by mail."""


def message(change: Change, *, region: str, environment_of: Callable[[str, str], str | None]) -> Message | None:
    """Return the notification about an event.

    Args:
        change: The event.
        region: Region of the pipeline, for links.
        environment_of: The environment of a resource, by its account and name.

    Returns:
        The message; None if no notification is needed.
    """
    match change:
        case PipelineChange() if change.is_rollback and change.state == "STARTED":
            subject = f"{change.pipeline}: a stage is being rolled back"
        case PipelineChange() if change.state in _EXECUTION:
            what = "rollback" if change.is_rollback else "execution"
            subject = f"{change.pipeline}: {what} {_EXECUTION[change.state]}"
        case ApprovalWaiting():
            subject = f"{change.pipeline}: {change.stage} waits for an approval"
        case ApprovalCanceled():
            subject = f"{change.pipeline}: the approval of {change.stage} was canceled: the pipeline was changed"
        case StageChange() if change.state == CANCELED:
            subject = f"{change.pipeline}: {change.stage} was canceled half-way: the pipeline was changed"
        case DeploymentChange() if change.state in _DEPLOYMENT:
            place = environment_of(change.account, change.application)
            if place is None:
                return None
            subject = f"{place}: deployment of {change.application} {_DEPLOYMENT[change.state]}"
            return Message(subject[:SUBJECT_LIMIT], f"{subject}\nDeployment {change.deployment} in {change.account}")
        case AlarmChange() if change.state == "ALARM":
            place = environment_of(change.account, change.alarm)
            if place is None:
                return None
            subject = f"{place}: {change.alarm} is in alarm"
            return Message(subject[:SUBJECT_LIMIT], f"{subject}\nAccount {change.account}", chat_only=True)
        case DriftFound():
            return _drift(change)
        case _:
            return None
    link = (
        f"https://{region}.console.aws.amazon.com/codesuite/codepipeline/pipelines/{change.pipeline}"
        f"/executions/{change.execution}/timeline?region={region}"
    )
    return Message(subject[:SUBJECT_LIMIT], f"{subject}\n{link}")


def _drift(found: DriftFound) -> Message:
    """Return the notification about drift."""
    said = []
    if found.resources:
        said.append(
            f"{found.resources} {'resource differs' if found.resources == 1 else 'resources differ'} from the templates"
        )
    if found.unread:
        said.append(f"{len(found.unread)} could not be compared with the templates")
    subject = f"{found.environment}: {', '.join(said)}"
    lines = [subject, f"Account {found.account}", *found.lines]
    if found.left_out:
        lines.append(f"and {found.left_out} more: `slipway drift --env {found.environment}` lists them")
    lines += [f"not compared: {each}" for each in found.unread]
    return Message(subject[:SUBJECT_LIMIT], "\n".join(lines))
