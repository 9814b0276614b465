"""An in-memory delivery to two environments, and the events that AWS documents."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from slipway.delivery.runtime.events import AlarmChange, Change, DeploymentChange, StageChange
from slipway.delivery.runtime.figures import Figure, ObservedPipeline, figures

EVENTS = Path(__file__).with_name("events")

DELIVERY = ObservedPipeline(
    stages={
        "staging-foundation": ["staging"],
        "staging-services": ["staging"],
        "prod-foundation": ["prod"],
        "prod-services": ["prod"],
    },
    last_stages=frozenset({"staging-services", "prod-services"}),
    accounts={"staging": "222222222222", "prod": "333333333333"},
)

START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


def recorded(name: str) -> dict[str, Any]:
    """Return an event as AWS documents it."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def at(minutes: float) -> datetime:
    """Return a time, in minutes from the start."""
    return START + timedelta(minutes=minutes)


def stage(execution: str, state: str, minutes: float, name: str = "prod-services") -> StageChange:
    """Return the change of a stage."""
    return StageChange(at=at(minutes), pipeline="slipway", execution=execution, stage=name, state=state)


def deployment(minutes: float, state: str = "FAILURE", application: str = "prod-items-compute-Api") -> DeploymentChange:
    """Return the change of a CodeDeploy deployment in prod."""
    return DeploymentChange(
        at=at(minutes), account="333333333333", application=application, deployment="d-1", state=state
    )


def alarm(minutes: float, state: str, name: str = "prod-items-5xx", account: str = "333333333333") -> AlarmChange:
    """Return the change of an alarm."""
    return AlarmChange(at=at(minutes), account=account, alarm=name, state=state)


@dataclass
class Desk:
    """Process events in order of arrival and keep the figures.

    Attributes:
        rollbacks: Executions that are rollbacks, with the execution that they restore.
        commits: Commit times, by execution.
        delivery: The pipeline.
    """

    rollbacks: dict[str, str] = field(default_factory=dict)
    commits: dict[str, datetime] = field(default_factory=dict)
    delivery: ObservedPipeline = DELIVERY
    found: list[Figure] = field(default_factory=list)
    _values: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _alarms: dict[tuple[str, str], tuple[datetime, bool]] = field(default_factory=dict)

    def take(self, *changes: Change) -> list[Figure]:
        """Process events and return the figures that they add."""
        added = [figure for change in changes for figure in figures(change, self.delivery, self, self)]
        self.found += added
        return added

    def total(self, metric: str, environment: str = "prod") -> float:
        """Return the sum of a metric's values."""
        return sum(each.value for each in self.found if (each.metric, each.environment) == (metric, environment))

    def first_time(self, key: str) -> bool:
        first = key not in self._seen
        self._seen.add(key)
        return first

    def get(self, key: str) -> str | None:
        return self._values.get(key)

    def put(self, key: str, value: str | None) -> None:
        if value is None:
            self._values.pop(key, None)
        else:
            self._values[key] = value

    def set_alarm(self, environment: str, alarm: str, *, at: datetime, in_alarm: bool) -> int:
        key = (environment, alarm)
        if key not in self._alarms or self._alarms[key][0] < at:
            self._alarms[key] = (at, in_alarm)
        return self.alarms_on(environment)

    def alarms_on(self, environment: str) -> int:
        return sum(on for (place, _), (_, on) in self._alarms.items() if place == environment)

    def rollback_target(self, pipeline: str, execution: str) -> str | None:
        return self.rollbacks.get(execution)

    def committed(self, pipeline: str, execution: str) -> datetime | None:
        return self.commits.get(execution)
