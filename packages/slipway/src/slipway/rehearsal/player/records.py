"""Records of a rehearsal: every stage, action, change and request, as data.

The terminal, the page and `result.json` show only these. Times are seconds, either real, from the machine's clock, or
virtual, as they would have passed on AWS. Times of day are virtual, ISO 8601 in UTC.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

NO_API = "no API"
"""Key in `served` for a service without an API, before the versions of its functions."""


class PlayStatus(StrEnum):
    """A status, in CodePipeline's terms."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    """It was not played: the execution ended before it."""
    CANCELED = "Cancelled"
    """The pipeline was changed meanwhile. The actions in progress were completed, and nothing was rolled back."""


@dataclass
class PlayedChange:
    """One resource in a change set, and its outcome."""

    logical_id: str
    type: str
    action: str
    """Add, Modify, Remove, or Import."""
    replacement: str = ""
    """CloudFormation's prediction: True, False or Conditional."""
    outcome: str = ""
    """The last status of the resource, such as UPDATE_COMPLETE; after a failure, the failed one, without the
    rollback's.
    """
    reason: str = ""


@dataclass
class PlayedMinute:
    """One virtual minute of a deployment."""

    minute: int
    weight: float
    """Share of the traffic for the new version, 0 to 1."""
    requests_old: int
    requests_new: int
    errors_old: int
    errors_new: int
    slowest_ms: float
    """Longest request to the new version."""
    alarms: dict[str, str] = field(default_factory=dict)
    """Alarm → its state at the end of the minute."""


@dataclass
class PlayedDeployment:
    """One run of CodeDeploy: an alias moves to a new version, or back."""

    id: str
    function: str
    alias: str
    old_version: str
    new_version: str
    configuration: str
    """Name of the deployment configuration, such as CodeDeployDefault.LambdaCanary10Percent5Minutes."""
    status: PlayStatus = PlayStatus.IN_PROGRESS
    reason: str = ""
    hooks: dict[str, str] = field(default_factory=dict)
    """Lifecycle event → its hook's result."""
    minutes: list[PlayedMinute] = field(default_factory=list)
    virtual_seconds: float = 0
    met_new: int = 0
    """Requests to the new version."""
    failed_new: int = 0
    """Failed requests among them: by an error of the function, or by a fault that it counted."""
    substituted: str = ""


@dataclass
class Tests:
    """Result of a build's test reports."""

    tests: int = 0
    failures: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)


@dataclass
class PlayedAction:
    """One played action of a stage."""

    name: str
    provider: str
    account: str
    """Name of the account that it works in: tools, or an environment."""
    run_order: int
    attempt: int = 1
    status: PlayStatus = PlayStatus.IN_PROGRESS
    started: float = 0
    """Real seconds since the execution began."""
    seconds: float = 0
    virtual_start: str = ""
    virtual_seconds: float = 0
    summary: str = ""
    error: str = ""
    log: str = ""
    """Path of its log, beside the page."""
    changes: list[PlayedChange] = field(default_factory=list)
    deployments: list[PlayedDeployment] = field(default_factory=list)
    tests: Tests | None = None


@dataclass
class PlayedCondition:
    """An evaluated condition of a stage."""

    kind: str
    """BeforeEntry, OnSuccess or OnFailure."""
    rule: str
    status: PlayStatus
    detail: str
    virtual_seconds: float = 0


@dataclass
class PlayedStage:
    """One played stage."""

    name: str
    kind: str = "deliver"
    """deliver, retry (failed actions again) or rollback (the artifacts of an earlier execution)."""
    status: PlayStatus = PlayStatus.IN_PROGRESS
    conditions: list[PlayedCondition] = field(default_factory=list)
    actions: list[PlayedAction] = field(default_factory=list)
    reason: str = ""


@dataclass
class Execution:
    """One execution of the pipeline."""

    id: str
    commit: str
    message: str
    pipeline_version: int
    virtual_start: str
    status: PlayStatus = PlayStatus.IN_PROGRESS
    reason: str = ""
    """Why it did not complete, in one line."""
    seconds: float = 0
    virtual_seconds: float = 0
    stages: list[PlayedStage] = field(default_factory=list)

    @property
    def stopped(self) -> PlayedStage | None:
        """The stage that stopped it: the last failed one, since earlier ones may have succeeded when retried."""
        return next((stage for stage in reversed(self.stages) if stage.status is PlayStatus.FAILED), None)


@dataclass
class Rehearsal:
    """One run of the rehearsal: an execution, and those that its self-mutations started."""

    commit: str
    message: str
    services: list[str]
    fault: str = ""
    began: str = ""
    """Real time, ISO 8601."""
    seconds: float = 0
    delivered: bool = False
    """True if the commit passed the last stage."""
    verdict: str = ""
    """The last line of the run."""
    phases: dict[str, float] = field(default_factory=dict)
    """Phase before or after the executions → its real seconds."""
    executions: list[Execution] = field(default_factory=list)
    substitutions: list[dict[str, Any]] = field(default_factory=list)
    """Used rows of the table: `subject`, `stand_in`, `unproven`, `resources`."""
    before: dict[str, dict[str, str]] = field(default_factory=dict)
    """Environment → service → its answer before the first execution."""
    served: dict[str, dict[str, str]] = field(default_factory=dict)
    """Environment → service → its answer at the end."""
    event_faults: list[str] = field(default_factory=list)
    """Failures of the delivery of events to functions."""
    refusals: list[str] = field(default_factory=list)
    """Refused calls of AWS's services in a role's name or against a resource's policy."""
    lost: list[str] = field(default_factory=list)
    """Accounts that died or could not be saved, with the reason."""
    in_alarm: dict[str, list[str]] = field(default_factory=dict)
    """Environment → its alarms that an old bug triggered before the first execution."""
    taken_back: dict[str, dict[str, str]] = field(default_factory=dict)
    """Step of a manual rollback → service → its answer to the request that had found the fault."""
    memory_mb: float = 0
    """Maximum memory of the accounts' processes together, megabytes (proportional set size)."""

    def as_dict(self) -> dict[str, Any]:
        """Return the record in the format of `result.json`."""
        return asdict(self)


def short_name(function: str) -> str:
    """Return a function's name without its stack's, CloudFormation's hash and its suffix."""
    return re.sub(r"^[a-z0-9-]*?-compute-|[0-9A-F]{8}(-\w+)?$", "", function)
