"""The four DORA metrics of a delivery, updated as events arrive.

Lead time, deployment frequency, change failure rate and time to restore
(https://dora.dev/guides/dora-metrics-four-keys):
- An execution is deployed to an environment once: when the last stage of it succeeds, or the first of them fails.
- It is a failed change once: a stage of the environment failed, was stopped or was canceled, or the environment was
  rolled back from it. If CodeDeploy rolls a function back, the stage fails, so CodeDeploy's event does not count again;
  it only shows earlier that the environment is broken.
- Lead time runs from the commit to the success of the last stage.
- Time to restore runs from the first failure after a success to the next success. A rollback restores, but doesn't
  count as a deployment.

EventBridge delivers events at least once and in any order. So each occurrence is counted once, under a key of execution
and environment, however many events report it.

The number of active alarms is a level, not a count: CloudWatch keeps no last value of a period, only its largest. If
two alarms end in the same minute, the first leaves a 1 there. So the number is also put every minute, and a minute
without a change shows the current value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from slipway.delivery.runtime.events import AlarmChange, Change, DeploymentChange, Minute, StageChange

STAGE_FAILED = frozenset({"CANCELED", "FAILED", "STOPPED"})
"""States that fail a stage. A canceled stage is half deployed, and nothing rolls it back."""
DEPLOYMENT_FAILED = frozenset({"FAILURE", "STOP"})

HISTORY = 20
"""Executions of an environment that are remembered in order: a rollback returns to one of the latest."""


@dataclass(frozen=True)
class Figure:
    """One value for one metric of an environment."""

    environment: str
    metric: str
    unit: str
    value: float


class Executions(Protocol):
    """What CodePipeline knows about an execution that the events of its stages don't contain."""

    def rollback_target(self, pipeline: str, execution: str) -> str | None:
        """Return the execution that a rollback returns to; None if this is not a rollback."""

    def committed(self, pipeline: str, execution: str) -> datetime | None:
        """Return when the execution's commit was made; None if the source doesn't provide it."""


class FiguresMemory(Protocol):
    """Storage between events."""

    def first_time(self, key: str) -> bool:
        """Return True the first time a key is seen, and False afterwards."""

    def get(self, key: str) -> str | None:
        """Return the value stored under a key."""

    def put(self, key: str, value: str | None) -> None:
        """Store a value under a key, or delete it."""

    def set_alarm(self, environment: str, alarm: str, *, at: datetime, in_alarm: bool) -> int:
        """Store an alarm's state, unless a later one is stored.

        Returns:
            The number of the environment's alarms that are now in ALARM.
        """

    def alarms_on(self, environment: str) -> int:
        """Return the number of the environment's alarms that are in ALARM."""


@dataclass(frozen=True)
class ObservedPipeline:
    """The pipeline's stages and accounts.

    Attributes:
        stages: Name of a stage → the environments that it deploys to: several if they are deployed side by side.
        last_stages: Stages that complete their environments.
        accounts: Environment → the account it is in.
    """

    stages: Mapping[str, Sequence[str]]
    last_stages: frozenset[str]
    accounts: Mapping[str, str]

    def environment(self, account: str, name: str) -> str | None:
        """Return the environment of a resource, whose name begins with the environment's like that of every stack.

        Args:
            account: Account of the resource.
            name: Its name.
        """
        found = [
            environment
            for environment, owner in self.accounts.items()
            if owner == account and name.startswith(f"{environment}-")
        ]
        return max(found, key=len, default=None)


def figures(change: Change, delivery: ObservedPipeline, memory: FiguresMemory, executions: Executions) -> list[Figure]:
    """Return the values that an event adds to the metrics.

    Args:
        change: The event, from `events.read`.
        delivery: The pipeline's stages and accounts.
        memory: Storage between events.
        executions: The pipeline's executions.

    Returns:
        The values to put; empty if they were already counted.
    """
    match change:
        case StageChange() if change.stage in delivery.stages:
            environments = delivery.stages[change.stage]
            target = executions.rollback_target(change.pipeline, change.execution)
            return [
                figure
                for environment in environments
                for figure in (
                    _stage(change, environment, delivery, memory, executions)
                    if target is None
                    else _rollback(change, environment, target, delivery, memory)
                )
            ]
        case DeploymentChange() if change.state in DEPLOYMENT_FAILED:
            if owner := delivery.environment(change.account, change.application):
                _broken(owner, change.at, memory)
            return []
        case AlarmChange():
            if owner := delivery.environment(change.account, change.alarm):
                alarms = memory.set_alarm(owner, change.alarm, at=change.at, in_alarm=change.state == "ALARM")
                return [_alarms(owner, alarms)]
            return []
        case Minute():
            return [_alarms(environment, memory.alarms_on(environment)) for environment in delivery.accounts]
        case _:
            return []


def _stage(
    change: StageChange, environment: str, delivery: ObservedPipeline, memory: FiguresMemory, executions: Executions
) -> list[Figure]:
    if change.state == "STARTED":
        _entered(environment, change, memory)
        return []
    if change.state in STAGE_FAILED:
        _entered(environment, change, memory)
        _broken(environment, change.at, memory)
        return [*_deployed(environment, change.execution, memory), *_failed(environment, change.execution, memory)]
    if change.state != "SUCCEEDED" or change.stage not in delivery.last_stages:
        return []
    committed = executions.committed(change.pipeline, change.execution)
    found = _restored(environment, change.at, memory)
    found += _deployed(environment, change.execution, memory)
    if committed is not None and memory.first_time(f"lead-time#{environment}#{change.execution}"):
        # A commit's date comes from its author's clock.
        seconds = max(0.0, (change.at - committed).total_seconds())
        found.append(Figure(environment, "LeadTime", "Seconds", seconds))
    return found


def _rollback(
    change: StageChange, environment: str, target: str, delivery: ObservedPipeline, memory: FiguresMemory
) -> list[Figure]:
    if change.state == "STARTED":
        _broken(environment, change.at, memory)
        entered = [execution for at, execution in _history(environment, memory) if at <= change.at]
        # The execution that is rolled back entered after the one that the rollback returns to. If the order is not
        # known, events are still missing, and the stage's failure counts.
        if target not in entered[:-1]:
            return []
        return _failed(environment, entered[-1], memory)
    if change.state == "SUCCEEDED" and change.stage in delivery.last_stages:
        return _restored(environment, change.at, memory)
    return []


def _alarms(environment: str, number: int) -> Figure:
    return Figure(environment, "AlarmsInAlarm", "Count", number)


def _deployed(environment: str, execution: str, memory: FiguresMemory) -> list[Figure]:
    first = memory.first_time(f"deployment#{environment}#{execution}")
    return [Figure(environment, "Deployments", "Count", 1)] if first else []


def _failed(environment: str, execution: str, memory: FiguresMemory) -> list[Figure]:
    first = memory.first_time(f"failure#{environment}#{execution}")
    return [Figure(environment, "ChangeFailures", "Count", 1)] if first else []


def _entered(environment: str, change: StageChange, memory: FiguresMemory) -> None:
    """Remember which executions entered the environment, the latest last."""
    history = {execution: at for at, execution in _history(environment, memory)}
    history[change.execution] = min(change.at, history.get(change.execution, change.at))
    latest = sorted((at, execution) for execution, at in history.items())[-HISTORY:]
    memory.put(_entered_key(environment), json.dumps([[at.isoformat(), execution] for at, execution in latest]))


def _history(environment: str, memory: FiguresMemory) -> list[tuple[datetime, str]]:
    known = json.loads(memory.get(_entered_key(environment)) or "[]")
    return [(datetime.fromisoformat(at), execution) for at, execution in known]


def _broken(environment: str, at: datetime, memory: FiguresMemory) -> None:
    """Remember since when the environment has been broken: the earliest failure after the latest success."""
    since, success = memory.get(_broken_key(environment)), memory.get(_success_key(environment))
    if success is not None and at <= datetime.fromisoformat(success):
        return
    if since is None or at < datetime.fromisoformat(since):
        memory.put(_broken_key(environment), at.isoformat())


def _restored(environment: str, at: datetime, memory: FiguresMemory) -> list[Figure]:
    since, success = memory.get(_broken_key(environment)), memory.get(_success_key(environment))
    if success is None or at > datetime.fromisoformat(success):
        memory.put(_success_key(environment), at.isoformat())
    if since is None or at <= datetime.fromisoformat(since):
        return []
    memory.put(_broken_key(environment), None)
    return [Figure(environment, "TimeToRestore", "Seconds", (at - datetime.fromisoformat(since)).total_seconds())]


def _broken_key(environment: str) -> str:
    return f"broken#{environment}"


def _success_key(environment: str) -> str:
    return f"success#{environment}"


def _entered_key(environment: str) -> str:
    return f"entered#{environment}"
