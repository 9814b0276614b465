"""A player of a pipeline defined by a test, whose actions are functions of the test."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipway.emulator.substitutions import Substitution
from slipway.rehearsal.player.actions import Task
from slipway.rehearsal.player.approvals import Approvals
from slipway.rehearsal.player.builds import BuildPlace
from slipway.rehearsal.player.definition import PipelineDefinition
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.execution import Player
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedStage
from slipway.rehearsal.player.rules import Window
from slipway.rehearsal.player.source import Commit
from unit.rehearsal.aws import Account, accounts_in

FRIDAY = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
"""A Friday, ten o'clock in New York."""

COMMIT = Commit(Path("repository"), "c" * 40, "main", "A change", "2026-11-20T14:00:00+00:00")

Does = Callable[[Task], object]


@dataclass
class Scripted:
    """Actions that call the test's function for their name, if there is one."""

    does: Mapping[str, Does]
    log: list[str] = field(default_factory=list)
    """Names of the actions, in the order in which they started."""
    tasks: list[Task] = field(default_factory=list)
    used: Counter[Substitution] = field(default_factory=Counter)
    source: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, task: Task) -> None:
        with self._lock:
            self.log.append(task.definition.name)
            self.tasks.append(task)
        if (does := self.does.get(task.definition.name)) is not None:
            does(task)


@dataclass
class Watcher:
    """A viewer that records its notifications in order."""

    told: list[str] = field(default_factory=list)

    def execution(self, execution: Execution, definition: PipelineDefinition) -> None:
        self.told.append(f"execution of {definition.name} {definition.version}")

    def stage(self, stage: PlayedStage) -> None:
        self.told.append(f"stage {stage.name} {stage.status}")

    def action(self, action: PlayedAction) -> None:
        self.told.append(f"action {action.name} {action.status}")

    def progress(self, action: PlayedAction, text: str) -> None:
        self.told.append(f"{action.name}: {text}")


class Told(Events):
    """EventBridge that records the events in order, and delivers them to nobody."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self.refreshed = 0

    def pipeline(self, kind: str, detail: Mapping[str, Any], moment: datetime) -> None:
        self.all.append({"kind": kind, "at": moment, **detail})

    def put(
        self,
        account: str,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        moment: datetime,
        *,
        resources: Sequence[str] = (),
        region: str | None = None,
    ) -> None:
        self.all.append({"account": account, "source": source, "kind": detail_type, "at": moment, **detail})

    def refresh(self) -> None:
        self.refreshed += 1

    def states(self, kind: str) -> list[str]:
        """Return the states of pipelines, stages or actions, in order."""
        return [f"{each.get('stage', '')} {each['state']}".strip() for each in self.all if each["kind"] == kind]


class Play:
    """A player and everything that it needs.

    Args:
        folder: Working folder.
        properties: Properties of the pipeline; None if it doesn't exist yet.
        does: Functions that actions call, by the action's name.
        bake: Plays the bakes. By default, they succeed.
    """

    def __init__(
        self,
        folder: Path,
        properties: dict[str, Any] | None,
        does: Mapping[str, Does] | None = None,
        *,
        bake: Callable[[Mapping[str, str], Sequence[str], datetime], tuple[bool, str]] = lambda *_: (True, "quiet"),
        window: Window = Window.FAILS,
    ) -> None:
        self.accounts, self.aws = accounts_in(folder)
        self.passed: list[tuple[str, datetime, int]] = []
        self.memory = Memory(folder / "codepipeline.json")
        if properties is not None:
            self.memory.define(properties)
        self.stopping = threading.Event()
        self.told, self.watcher = Told(), Watcher()
        self.player = Player(
            self.accounts,
            self.memory,
            approvals=Approvals(lambda _: None, self.stopping),
            events=self.told,
            place=BuildPlace(folder / "run", folder / "host", folder),
            bake=bake,
            view=self.watcher,
            stopping=self.stopping,
            window=window,
            passes=lambda account, moment, minutes: self.passed.append((account, moment, minutes)),
        )
        self.actions = Scripted(does or {})
        self.player.actions = self.actions  # type: ignore[assignment]  # what the player asks of them is here

    @property
    def tools(self) -> Account:
        return self.aws[self.accounts.tools]

    def play(self, start: datetime = FRIDAY) -> list[Execution]:
        """Deliver the commit."""
        return self.player.play(COMMIT, start)

    def once(self, start: datetime = FRIDAY) -> Execution:
        """Deliver the commit in one execution."""
        (execution,) = self.play(start)
        return execution
