"""A delivery to two environments, remembered in memory, and the events that AWS documents."""

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
    """An event as AWS documents it."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def at(minutes: float) -> datetime:
    """A time, in minutes from the start."""
    return START + timedelta(minutes=minutes)


def stage(execution: str, state: str, minutes: float, name: str = "prod-services") -> StageChange:
    """A stage's change."""
    return StageChange(at=at(minutes), pipeline="slipway", execution=execution, stage=name, state=state)


def deployment(minutes: float, state: str = "FAILURE", application: str = "prod-items-compute-Api") -> DeploymentChange:
    """A CodeDeploy deployment's change in prod."""
    return DeploymentChange(
        at=at(minutes), account="333333333333", application=application, deployment="d-1", state=state
    )


def alarm(minutes: float, state: str, name: str = "prod-items-5xx", account: str = "333333333333") -> AlarmChange:
    """An alarm's change."""
    return AlarmChange(at=at(minutes), account=account, alarm=name, state=state)


@dataclass
class Desk:
    """Takes events in the order in which they come, and keeps the figures.

    Attributes:
        rollbacks: executions that are rollbacks, and what they go back to.
        commits: when the commits of executions were made.
        delivery: the pipeline.
    """

    rollbacks: dict[str, str] = field(default_factory=dict)
    commits: dict[str, datetime] = field(default_factory=dict)
    delivery: ObservedPipeline = DELIVERY
    found: list[Figure] = field(default_factory=list)
    _values: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _alarms: dict[tuple[str, str], tuple[datetime, bool]] = field(default_factory=dict)

    def take(self, *changes: Change) -> list[Figure]:
        """The figures that these events add."""
        added = [figure for change in changes for figure in figures(change, self.delivery, self, self)]
        self.found += added
        return added

    def total(self, metric: str, environment: str = "prod") -> float:
        """The sum of a metric's values."""
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
