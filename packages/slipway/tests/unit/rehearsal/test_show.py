"""A rehearsal's output without a terminal: one line for each thing that ended."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from slipway.rehearsal.player.definition import PipelineDefinition
from slipway.rehearsal.player.records import Execution, PlayedAction, PlayedCondition, PlayedStage, PlayStatus
from slipway.rehearsal.show import Show, virtual
from unit.rehearsal.player.pipelines import build, pipeline, stage
from unit.rehearsal.recorded import START, action, canary


class Told:
    """A viewer and the lines that it printed."""

    def __init__(self, *, terminal: bool = False) -> None:
        self.file = io.StringIO()
        self.show = Show(Console(file=self.file, force_terminal=terminal, width=160, color_system=None))

    @property
    def lines(self) -> list[str]:
        return [re.sub(r" +", " ", line).strip() for line in self.file.getvalue().splitlines()]


@pytest.fixture
def told() -> Told:
    return Told()


def test_an_execution_begins_with_what_it_delivers(told: Told) -> None:
    definition = PipelineDefinition.read(pipeline(stage("Build", build())), 3)
    told.show.execution(Execution("e", "c" * 40, "Add items", 3, START), definition)
    assert told.lines == ["", f"slipway, version 3: {'c' * 12} Add items Fri 20 Nov 15:00 UTC, virtual"]


def test_stage_reports_start_conditions_and_failure(told: Told) -> None:
    shown = PlayedStage("prod", "rollback")
    told.show.stage(shown)
    shown.conditions.append(PlayedCondition("BeforeEntry", "DeploymentWindow", PlayStatus.SUCCEEDED, "Fri 15:00"))
    told.show.stage(shown)
    shown.status, shown.reason = PlayStatus.FAILED, "nothing to go back to"
    told.show.stage(shown)
    assert told.lines == ["prod rollback", "✓ BeforeEntry DeploymentWindow Fri 15:00", "nothing to go back to"]


def test_the_stage_does_not_repeat_its_actions_error(told: Told) -> None:
    failed = action("Synth", status=PlayStatus.FAILED, error="it failed with exit code 1")
    shown = PlayedStage(
        "Build", status=PlayStatus.FAILED, actions=[failed], reason="Build/Synth: it failed with exit code 1"
    )
    told.show.action(failed)
    told.show.stage(shown)
    assert told.lines == ["✗ Synth prod 2.0 s", "it failed with exit code 1"]


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (action("Synth", summary="9 tests"), "✓ Synth prod 2.0 s 9 tests"),
        (action("Wait", virtual=600.0), "✓ Wait prod 2.0 s 0:10:00 virtual"),
        (action("Old", status=PlayStatus.SKIPPED), "· Old prod 2.0 s"),
    ],
)
def test_a_finished_action_is_one_line(told: Told, made: PlayedAction, line: str) -> None:
    told.show.action(made)
    assert told.lines == [line]


def test_a_starting_action_prints_nothing(told: Told) -> None:
    begun = PlayedAction("Synth", "CodeBuild", "tools", 1)
    told.show.action(begun)
    told.show.progress(begun, "compiling")
    assert told.lines == []


@pytest.mark.parametrize(("failed", "mark"), [(False, "✓"), (True, "✗")])
def test_a_canary_is_a_line_below_its_action(told: Told, *, failed: bool, mark: str) -> None:
    told.show.action(action("compute.Deploy", deployments=[canary(failed=failed)]))
    number = 2 if failed else 0
    assert told.lines[1] == (
        f"{mark} ApiFunction 1 → 2 Canary10Percent5Minutes, 6 requests to the new version, {number} failed"
    )


@pytest.mark.parametrize("text", ["[/] closes nothing", "[red]", "[/tmp/a]", "[bold", "a \\[b]", "[link=x]y[/link]"])
def test_brackets_in_what_is_shown_are_text(told: Told, text: str) -> None:
    definition = PipelineDefinition.read(pipeline(stage("Build", build())), 3)
    told.show.execution(Execution("e", "c" * 40, text, 3, START), definition)
    told.show.action(action(text, summary=text, status=PlayStatus.FAILED, error=text))
    told.show.stage(
        PlayedStage(
            "a",
            status=PlayStatus.FAILED,
            conditions=[PlayedCondition("OnSuccess", text, PlayStatus.FAILED, text)],
            reason=text,
        )
    )
    with told.show.phase(text):
        pass
    assert "\n".join(told.lines).count(text) == 6


def test_phase_is_a_line_with_its_time_even_if_failed(told: Told) -> None:
    with told.show.phase("bootstrap"):
        told.show.progress_of_phase("dev")
    assert re.fullmatch(r"✓ bootstrap 0\.\d s", told.lines[0])
    with pytest.raises(ValueError, match="no"), told.show.phase("accounts"):
        raise ValueError("no")
    assert len(told.lines) == 1


def test_terminal_shows_running_actions_until_they_end() -> None:
    told = Told(terminal=True)
    running = PlayedAction("Synth", "CodeBuild", "tools", 1)
    definition = PipelineDefinition.read(pipeline(stage("Build", build())), 3)
    told.show.execution(Execution("e", "c" * 40, "m", 3, START), definition)
    told.show.action(running)
    told.show.progress(running, "compiling [/x]")
    with told.show.console.capture() as seen:
        told.show.console.print(told.show._render())  # what the live part draws
    assert "compiling [/x]" in seen.get()
    told.show.close()
    running.status = PlayStatus.SUCCEEDED
    told.show.action(running)
    with told.show.console.capture() as seen:
        told.show.console.print(told.show._render())
    assert "Synth" not in seen.get()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3723, "1:02:03"), (90_000, "1 day, 1:00:00")]
)
def test_virtual_time_is_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert virtual(seconds) == text
