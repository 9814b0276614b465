"""The rehearsal's page shows everything that was recorded, in one file that loads nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.drawing.draw import draw
from slipway.rehearsal import page
from slipway.rehearsal.player.records import (
    Execution,
    PlayedAction,
    PlayedCondition,
    PlayedMinute,
    PlayedStage,
    PlayStatus,
    Rehearsal,
)
from unit.rehearsal.recorded import START, action, canary, rehearsal

_VOID = {"meta", "br", "line", "rect", "circle"}
HOSTILE = "<script>alert(1)</script>\"' onload=x {{ 7*7 }} &amp;"


class Read(HTMLParser):
    """A page as a browser parses it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of(self, tag: str, css: str = "") -> list[dict[str, str]]:
        """Return the attributes of each tag with a name and, if given, a class."""
        found = [each for name, each in self.tags if name == tag]
        return [each for each in found if not css or css in each.get("class", "").split()]

    @property
    def text(self) -> str:
        """The visible text, without styles."""
        return re.sub(r"\s+", " ", " ".join(each for each in self.texts if ":root {" not in each))


def _read(record: Rehearsal, folder: Path) -> Read:
    return Read(page.write(record, folder).read_text(encoding="utf-8"))


@pytest.mark.parametrize("failed", [False, True])
def test_a_page_loads_nothing(tmp_path: Path, *, failed: bool) -> None:
    # Given the page of a run
    found = _read(rehearsal(failed=failed), tmp_path)
    # Then it loads no files and runs no scripts
    assert {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in found.tags} == set()
    assert not [name for _, attributes in found.tags for name in attributes if name.startswith("on") or name == "src"]
    style = " ".join(text for text in found.texts if ":root {" in text)
    assert "url(" not in style
    assert "@import" not in style
    # And it only links to its own logs
    assert [each["href"] for each in found.of("a")] == ["logs/synth.log"]


def test_page_shows_everything_that_was_recorded(tmp_path: Path) -> None:
    text = _read(rehearsal(), tmp_path).text
    for words in (
        f"delivered {'c' * 12} to prod in 20 s",
        "Add items",
        "0:15:09 in virtual time",
        "900 MB at most",
        "Execution 1 of 2: Cancelled",
        "the pipeline changed itself.",
        "Version 3 of the pipeline; virtual time begins at 2026-11-20 15:00 UTC",
        "ApiFunction 1 → 2, Canary10Percent5Minutes; BeforeAllowTraffic Succeeded",
        "6 requests to the new version, 0 failed",
        "BeforeEntry DeploymentWindow: Fri 15:00 UTC",
        "failed: tests.smoke::health",
        "1 modify, 1 replaced",
        "UPDATE_FAILED No, said the service",
        "200; live: ApiFunction 2",
        "AWS::X Y Z",
        "accounts 1.5 s",
    ):
        assert words in re.sub(r" +([;:.,])", r"\1", text)
    assert "Events that were not delivered" not in text


def test_a_run_that_stopped_says_where_and_why(tmp_path: Path) -> None:
    record = rehearsal(failed=True)
    record.event_faults = ["State-change: the relay may not put events"]
    record.refusals = ["dev: no policy allows sns:Publish"]
    found = _read(record, tmp_path)
    for words in (
        f"{'c' * 12} stopped at prod",
        "error-rate=5%",
        "d-1: Errors became active in minute 2",
        "the alarm Errors went off",
        "prod (rollback)",
        "compute.Prepare (again)",
        "the relay may not put events",
        "dev: no policy allows sns:Publish",
    ):
        assert words in found.text
    # The failed stage is expanded, the others are collapsed
    assert found.of("h1") == [{"class": "no"}]
    assert sum("open" in each for each in found.of("details")) == 3  # the real time of two executions, and prod


def test_the_canary_shows_each_minute(tmp_path: Path) -> None:
    found = Read(str(page.canary(canary(failed=True))))
    assert len(found.of("rect", "old")) == len(found.of("rect", "new")) == 2
    # 27 of 30 requests went to the old version
    assert {each["height"] for each in found.of("rect", "old")} == {"90.0"}
    assert {each["height"] for each in found.of("rect", "new")} == {"10.0"}
    # Failures are drawn, and the minute in which the alarm triggered
    assert [each["height"] for each in found.of("rect", "bad")] == ["10.0"]
    assert [each["class"] for each in found.of("circle")] == ["calm", "ringing"]
    assert "minute 2: 27 requests to version 1, 3 to 2; 3 failed" in found.text


def test_a_single_failure_can_be_seen() -> None:
    deployment = canary()
    deployment.minutes = [PlayedMinute(1, 0.1, 900, 100, 1, 0, 1.0)]
    (bad,) = Read(str(page.canary(deployment))).of("rect", "bad")
    assert float(bad["height"]) >= 3


def test_no_picture_without_minutes_or_requests() -> None:
    deployment = canary()
    deployment.minutes = [PlayedMinute(1, 0.1, 0, 0, 0, 0, 0.0)]
    assert "<svg" in page.canary(deployment)
    deployment.minutes = []
    assert page.canary(deployment) == ""


def test_a_commits_message_stays_text(tmp_path: Path) -> None:
    # Given a record whose every text is hostile
    def spoil(value: Any) -> Any:
        if isinstance(value, str) and type(value) is str:
            return HOSTILE
        if isinstance(value, list):
            return [spoil(each) for each in value]
        if isinstance(value, dict):
            return {f"{HOSTILE}{key}": spoil(each) for key, each in value.items()}
        if hasattr(value, "__dataclass_fields__"):
            for name in value.__dataclass_fields__:
                if name not in {"virtual_start", "log", "substitutions"}:
                    setattr(value, name, spoil(getattr(value, name)))
        return value

    # When its page is written
    found = _read(spoil(rehearsal(failed=True)), tmp_path)
    # Then the texts are shown, and not executed
    assert found.of("script") == []
    assert not [name for _, attributes in found.tags for name in attributes if name == "onload"]
    assert found.text.count("alert(1)") > 20
    assert "{{ 7*7 }}" in found.text


def test_a_run_that_did_not_start_has_a_page_too(tmp_path: Path) -> None:
    record = Rehearsal("c" * 40, "m", ["items"], verdict="it was not delivered")
    assert "it was not delivered" in _read(record, tmp_path).text


def test_the_result_is_written_as_json(tmp_path: Path) -> None:
    assert page.read(tmp_path) is None
    record = rehearsal(failed=True)
    page.write(record, tmp_path)
    assert page.read(tmp_path) == json.loads(json.dumps(record.as_dict()))
    # A later run replaces it
    page.write(rehearsal(), tmp_path)
    assert (page.read(tmp_path) or {})["delivered"] is True


# --- The time chart ---

_ACTIONS = st.builds(
    lambda order, seconds, virtual: action("a", order=order, seconds=seconds, virtual=virtual),
    st.integers(1, 4),
    st.integers(0, 5_000).map(lambda tenths: tenths / 10),
    st.integers(0, 1_000_000).map(lambda tenths: tenths / 10),
)
_STAGES = st.lists(
    st.builds(lambda actions: PlayedStage("s", actions=actions), st.lists(_ACTIONS, max_size=6)), max_size=4
)


def _by_group(stage: PlayedStage) -> list[PlayedAction]:
    orders = [each.run_order for each in stage.actions]
    return sorted(stage.actions, key=lambda each: orders.index(each.run_order))


@settings(deadline=None, max_examples=60)
@given(stages=_STAGES, in_virtual=st.booleans())
def test_every_action_has_a_bar_within_the_chart(stages: list[PlayedStage], *, in_virtual: bool) -> None:
    execution = Execution("e", "c", "m", 1, START, stages=stages)
    chart = page.gantt(execution, in_virtual=in_virtual)
    assert [bar.action for bar in chart.bars] == [each for stage in stages for each in _by_group(stage)]
    for bar in chart.bars:
        assert bar.x >= page.LABEL
        assert bar.x + bar.width <= page.WIDTH + 1.5 + 1e-6
        assert 0 <= bar.y <= chart.height - page.ROW
    # No two bars share a row
    assert len({bar.y for bar in chart.bars}) == len(chart.bars)
    assert len(chart.ticks) <= 10
    assert all(page.LABEL <= x <= page.WIDTH + 1e-6 for x, _ in chart.ticks)
    assert sum(height for _, _, height in chart.stages) == chart.height


def test_actions_of_a_group_are_drawn_side_by_side() -> None:
    stages = [
        PlayedStage("one", actions=[action("a", seconds=4), action("b", seconds=2), action("c", order=2, seconds=4)]),
        PlayedStage("two", "retry", actions=[action("d", seconds=2)]),
    ]
    chart = page.gantt(Execution("e", "c", "m", 1, START, stages=stages), in_virtual=False)
    scale = (page.WIDTH - page.LABEL) / 10
    assert [(bar.x - page.LABEL) / scale for bar in chart.bars] == pytest.approx([0, 0, 4, 8])
    assert [bar.width / scale for bar in chart.bars] == pytest.approx([4, 2, 4, 2])
    assert [bar.first for bar in chart.bars] == [True, False, False, True]
    assert [name for name, _, _ in chart.stages] == ["one", "two (retry)"]


def test_a_bake_delays_later_actions_in_virtual_time() -> None:
    record = rehearsal().executions[1]
    record.stages.append(PlayedStage("after", actions=[action("z", virtual=4.0)]))
    bars = page.gantt(record, in_virtual=True).bars
    scale = (page.WIDTH - page.LABEL) / (2 + 2 + 600 + 4 + 300 + 4)
    assert (bars[-1].x - page.LABEL) / scale == pytest.approx(2 + 2 + 600 + 4 + 300)


# --- The picture of the pipeline, which the evidence page shows too ---


def played() -> PlayedStage:
    """Return a stage whose second action failed once."""
    first = [
        PlayedAction("prod-items.data.Deploy", "CloudFormation", "prod", run_order=1, status=PlayStatus.SUCCEEDED),
        PlayedAction("prod-ingest.data.Deploy", "CloudFormation", "prod", run_order=1, status=PlayStatus.FAILED),
    ]
    again = PlayedAction(
        "prod-ingest.data.Deploy", "CloudFormation", "prod", run_order=1, attempt=2, status=PlayStatus.SUCCEEDED
    )
    return PlayedStage(
        "prod-services",
        status=PlayStatus.SUCCEEDED,
        conditions=[
            PlayedCondition("BeforeEntry", "DeploymentWindow", PlayStatus.SUCCEEDED, "open"),
            PlayedCondition("OnSuccess", "Bake", PlayStatus.SUCCEEDED, "no alarm"),
        ],
        actions=[*first, again],
    )


def test_a_stage_is_drawn_as_it_was_played() -> None:
    drawn = page.pictured(played())

    assert drawn.name == "prod-services"
    assert [[action.name for action in row] for row in drawn.rows] == [
        ["prod-items.data.Deploy", "prod-ingest.data.Deploy"],
        ["prod-ingest.data.Deploy"],
    ]
    assert [action.status for row in drawn.rows for action in row] == ["Succeeded", "Failed", "Succeeded"]
    assert drawn.rows[0][0].detail == "CloudFormation in prod"
    assert (drawn.before, drawn.after) == (("BeforeEntry DeploymentWindow ✓",), ("OnSuccess Bake ✓",))
    assert drawn.status == "Succeeded"


def test_a_rolled_back_stage_is_marked() -> None:
    assert page.pictured(PlayedStage("prod-services", kind="rollback")).name == "prod-services (rollback)"


def test_the_page_holds_the_picture(tmp_path: Path) -> None:
    execution = Execution(
        "1", "0123456789ab", "Say it", 1, "2026-01-01T00:00:00", stages=[PlayedStage("Source"), played()]
    )
    record = Rehearsal("0123456789ab", "Say it", ["items"], verdict="delivered", executions=[execution])

    html = page.write(record, tmp_path).read_text(encoding="utf-8")

    assert str(draw(map(page.pictured, execution.stages))) in html
    assert "2 prod-services ✓" in html
