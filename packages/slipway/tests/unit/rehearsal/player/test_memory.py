"""The pipeline's memory survives the process that plays it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.errors import RehearsalError
from slipway.rehearsal.player.memory import Memory, Remembered
from unit.rehearsal.player.pipelines import action, build, pipeline, stage

EVENT = {"RequestId": "r-1", "ResponseURL": "https://answer"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "codepipeline.json"


def _execution(
    name: str, *, version: int = 1, stage: str = "dev", status: str = "Succeeded", to: str = ""
) -> Remembered:
    return Remembered(
        name, "c" * 40, "message", version, "2026-11-20T12:00:00+00:00", target=to, stages={stage: status}
    )


def test_memory_is_empty_at_first(file: Path) -> None:
    memory = Memory(file)
    assert not memory.has_pipeline
    with pytest.raises(RehearsalError, match="the tools account has no pipeline"):
        _ = memory.definition


def test_the_latest_time_is_that_of_any_execution(file: Path) -> None:
    memory = Memory(file)
    assert memory.latest is None
    memory.executions = [_execution("e-1"), _execution("e-2")]
    memory.executions[0].ended = "2026-11-20T14:00:00+00:00"
    assert memory.latest == datetime(2026, 11, 20, 14, tzinfo=UTC)


def test_the_version_counts_changes_of_the_definition_alone(file: Path) -> None:
    memory = Memory(file)
    first, second = pipeline(stage("Build", build())), pipeline(stage("Build", build("Other")))
    assert [memory.define(each) for each in (first, pipeline(stage("Build", build())), second, first)] == [1, 1, 2, 3]
    assert memory.definition.version == 3
    assert [each.name for each in memory.definition.stages[1].actions] == ["Synth"]


def test_unsupported_definition_is_refused_and_the_former_stays(file: Path) -> None:
    memory = Memory(file)
    memory.define(pipeline(stage("Build", build())))
    with pytest.raises(RehearsalError, match=r"does not support the action Invoke/Lambda \(Build/Call\)"):
        memory.define(pipeline(stage("Build", action("Call", "Invoke/Lambda"))))
    assert memory.definition.version == 1
    assert Memory(file).definition.stages[1].actions[0].name == "Synth"


def test_everything_survives_a_kill(file: Path) -> None:
    # Given a player that was killed while CloudFormation waited for its answer
    memory = Memory(file)
    memory.define(pipeline(stage("Build", build())))
    execution = _execution("e-1")
    execution.artifacts = {"Sources": "slipway/Sources/e-1"}
    execution.variables = {"Source@repository": {"CommitId": "c" * 40}}
    memory.executions.append(execution)
    memory.remember_pending("r-1", EVENT)
    # When another player reads the memory
    again = Memory(file)
    # Then nothing is lost
    assert again.definition == memory.definition
    assert again.executions == [execution]
    assert again.pending == {"r-1": EVENT}


def test_answered_requests_are_no_longer_pending(file: Path) -> None:
    memory = Memory(file)
    memory.remember_pending("r-1", EVENT)
    memory.remember_pending("r-2", EVENT)
    memory.remember_pending("r-1", None)
    memory.remember_pending("r-3", None)
    assert set(Memory(file).pending) == {"r-2"}


def test_half_written_file_is_rewritten(file: Path) -> None:
    file.write_text('{"definition": {"Name": "slip')
    memory = Memory(file)
    assert not memory.has_pipeline
    memory.define(pipeline())
    assert json.loads(file.read_text())["version"] == 1


def test_executions_of_another_format_version_are_discarded(file: Path) -> None:
    content = {"definition": pipeline(), "version": 4, "executions": [{"id": "e-1", "colour": "blue"}]}
    file.write_text(json.dumps(content))
    memory = Memory(file)
    assert memory.executions == []
    assert memory.definition.version == 4


def test_a_removed_pipeline_is_deleted(file: Path) -> None:
    memory = Memory(file)
    memory.define(pipeline())
    memory.undefine()
    assert not memory.has_pipeline
    assert not Memory(file).has_pipeline


def test_the_last_fifty_executions_are_kept(file: Path) -> None:
    memory = Memory(file)
    memory.executions += [_execution(str(number)) for number in range(60)]
    memory.keep()
    assert [each.id for each in Memory(file).executions] == [str(number) for number in range(10, 60)]


@pytest.mark.parametrize(
    ("executions", "found"),
    [
        ([], None),
        ([_execution("old"), _execution("new"), _execution("failing", status="Failed")], "new"),
        ([_execution("old"), _execution("elsewhere", stage="prod")], "old"),
        # A rollback uses only executions of the current structure, and none that was a rollback itself
        ([_execution("old", version=1), _execution("other structure", version=2)], "old"),
        ([_execution("other structure", version=2)], None),
        ([_execution("old"), _execution("rollback", to="old")], "old"),
        ([_execution("old"), _execution("this")], "old"),
    ],
)
def test_a_stage_rolls_back_to_its_last_success(file: Path, executions: list[Remembered], found: str | None) -> None:
    memory = Memory(file)
    memory.executions += executions
    target = memory.last_succeeded("dev", 1, before="this")
    assert (target.id if target else None) == found
