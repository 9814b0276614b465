"""CodePipeline's state: the pipeline's definition, and its executions. It is stored with the accounts."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from slipway import files
from slipway.emulator.partition import ApiError
from slipway.errors import RehearsalError
from slipway.rehearsal.player.definition import PipelineDefinition


@dataclass
class Remembered:
    """A stored execution, for later ones."""

    id: str
    commit: str
    message: str
    version: int
    """Version of the pipeline's structure."""
    started: str
    """Virtual time, ISO 8601."""
    status: str = "InProgress"
    target: str = ""
    """For a rollback, the execution that it returns to."""
    artifacts: dict[str, str] = field(default_factory=dict)
    """Artifact → its key in the pipeline's bucket."""
    variables: dict[str, dict[str, str]] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    """Stage → its result."""
    failed: list[str] = field(default_factory=list)
    """Stages in which an action failed."""
    ended: str = ""


class Memory:
    """The pipeline's definition and its executions.

    Args:
        file: File that stores it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.RLock()
        content = files.read_json(file) or {}
        self._properties: dict[str, Any] | None = content.get("definition")
        self._version: int = content.get("version", 0)
        self._pending: dict[str, Any] = content.get("pending", {})
        try:
            self.executions = [Remembered(**each) for each in content.get("executions", [])]
        except TypeError:  # Written by another version.
            self.executions = []

    @property
    def definition(self) -> PipelineDefinition:
        """Return the pipeline's current definition.

        Raises:
            RehearsalError: It does not exist, or uses something that the player does not support.
        """
        with self._lock:
            if self._properties is None:
                raise RehearsalError("the tools account has no pipeline: its stack was never deployed")
            return PipelineDefinition.read(self._properties, self._version)

    @property
    def latest(self) -> datetime | None:
        """Last virtual time of the accounts; None if nothing was played in them."""
        with self._lock:
            moments = (datetime.fromisoformat(each.ended or each.started) for each in self.executions)
            return max(moments, default=None)

    @property
    def has_pipeline(self) -> bool:
        """Return True if the pipeline exists."""
        return self._properties is not None

    def define(self, properties: dict[str, Any]) -> int:
        """Store a definition; its version increases if it differs from the previous one.

        Args:
            properties: Properties of the pipeline, with every reference resolved.

        Returns:
            The version.

        Raises:
            RehearsalError: It uses a feature that the player does not support. The previous definition is kept.
        """
        PipelineDefinition.read(properties, self._version + 1)
        with self._lock:
            if properties != self._properties:
                self._properties, self._version = properties, self._version + 1
                self.keep()
            return self._version

    def change(self) -> None:
        """Change the pipeline as somebody else would, without changing what it does."""
        with self._lock:
            if self._properties is not None:
                self.define({**self._properties, "Triggers": [*self._properties.get("Triggers", []), {}]})

    def undefine(self) -> None:
        """Delete the pipeline."""
        with self._lock:
            self._properties = None
            self.keep()

    def last_succeeded(self, stage: str, version: int, *, before: str) -> Remembered | None:
        """Return the newest execution that succeeded in a stage under a version of the pipeline's structure.

        A rollback cannot be a target itself: https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html.

        Args:
            stage: Name of the stage.
            version: Version of the structure; a rollback cannot return to an execution of another version.
            before: Id of the execution to roll back.
        """
        with self._lock:
            found = (
                each
                for each in reversed(self.executions)
                if each.id != before
                and not each.target
                and each.version == version
                and each.stages.get(stage) == "Succeeded"
            )
            return next(found, None)

    def rollback_target(self, stage: str, target: str) -> Remembered:
        """Return the execution that a manual rollback of a stage may return to.

        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_RollbackStage.html and
        https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html.

        Args:
            stage: Name of the stage.
            target: Id of the execution.

        Raises:
            ApiError: CodePipeline refuses it.
        """
        with self._lock:
            definition = self.definition
            defined = next((each for each in definition.stages if each.name == stage), None)
            if defined is None:
                raise ApiError("StageNotFoundException", f"{definition.name} has no stage {stage}")
            if any(action.category == "Source" for action in defined.actions):
                raise ApiError("UnableToRollbackStageException", "a source stage cannot be rolled back")
            found = next((each for each in self.executions if each.id == target), None)
            if found is None:
                raise ApiError("PipelineExecutionNotFoundException", f"there is no execution {target}")
            if found.version != definition.version:
                raise ApiError(
                    "PipelineExecutionOutdatedException",
                    f"{target} belongs to version {found.version} of the pipeline's structure, which now has "
                    f"version {definition.version}",
                )
            if found.target or found.stages.get(stage) != "Succeeded":
                why = "is a rollback itself" if found.target else f"did not succeed in {stage}"
                raise ApiError("UnableToRollbackStageException", f"{target} {why}")
            if any(each.stages.get(stage) == "InProgress" for each in self.executions):
                raise ApiError("UnableToRollbackStageException", f"{stage} is in progress")
            return found

    def end_killed(self) -> None:
        """Mark executions that a killed player left in progress as ended: only one player runs at a time."""
        with self._lock:
            for each in self.executions:
                if each.status == "InProgress":
                    each.status = "Stopped"
                    for stage, status in each.stages.items():
                        if status == "InProgress":
                            each.stages[stage] = "Stopped"

    def remember_pending(self, token: str, event: dict[str, Any] | None) -> None:
        """Store a custom resource that CloudFormation waits for; None deletes it.

        After a killed player, the next one answers for it.
        """
        with self._lock:
            if event is None:
                self._pending.pop(token, None)
            else:
                self._pending[token] = event
            self.keep()

    @property
    def pending(self) -> dict[str, dict[str, Any]]:
        """Return the custom resources that CloudFormation waits for, by request id."""
        with self._lock:
            return dict(self._pending)

    def keep(self) -> None:
        """Store the state."""
        with self._lock:
            content = {
                "definition": self._properties,
                "version": self._version,
                "pending": self._pending,
                "executions": [asdict(each) for each in self.executions[-50:]],
            }
            files.write_json(self._file, content)
