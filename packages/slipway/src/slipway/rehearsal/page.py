"""Write a rehearsal as one page that needs no network, and no other files except the logs that it links to."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from slipway import files
from slipway.drawing.draw import MARKS, STYLE, draw
from slipway.drawing.model import Action as DrawnAction
from slipway.drawing.model import Stage as DrawnStage
from slipway.rehearsal.player.records import (
    Execution,
    PlayedAction,
    PlayedDeployment,
    PlayedStage,
    PlayStatus,
    Rehearsal,
    short_name,
)
from slipway.rehearsal.show import virtual

WIDTH = 1000
"""Width of a chart, in its own units."""
ROW = 22
"""Height of a row of the Gantt chart."""
LABEL = 330
"""Width of the names beside it."""


@dataclass(frozen=True)
class Bar:
    """One action in the Gantt chart."""

    action: PlayedAction
    stage: str
    first: bool
    """True if it is the stage's first row, which shows the stage's name."""
    x: float
    width: float
    y: float


@dataclass(frozen=True)
class Gantt:
    """The actions of an execution over time.

    Attributes:
        ticks: Position and text of the marks of time.
        stages: Name, top and height of each stage's band.
    """

    bars: list[Bar]
    ticks: list[tuple[float, str]]
    stages: list[tuple[str, float, float]]
    height: float


def write(record: Rehearsal, folder: Path) -> Path:
    """Write the page and `result.json`.

    Args:
        record: The run.
        folder: Folder of the page, which already contains the logs.

    Returns:
        The page.
    """
    environment = Environment(
        loader=PackageLoader("slipway.rehearsal"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(virtual=virtual, short=short_name, mark=MARKS.__getitem__, changed=_changed)
    text = environment.get_template("rehearsal.html.j2").render(
        record=record,
        executions=[
            {
                "execution": each,
                "picture": draw(map(pictured, each.stages)),
                "real": gantt(each, in_virtual=False),
                "virtual": gantt(each, in_virtual=True),
            }
            for each in record.executions
        ],
        canary=canary,
        picture_style=STYLE,
        Status=PlayStatus,
        label=LABEL,
        row=ROW,
        width=WIDTH,
    )
    page = folder / "index.html"
    files.write_text(page, text)
    files.write_json(folder / "result.json", record.as_dict())
    return page


def pictured(stage: PlayedStage) -> DrawnStage:
    """Return a stage for the picture of the pipeline: repeated actions in separate rows, and the stage's conditions.

    Args:
        stage: The played stage.
    """
    rows = tuple(
        tuple(
            DrawnAction(name=action.name, detail=f"{action.provider} in {action.account}", status=action.status)
            for action in group
        )
        for group in _groups(stage)
    )
    asked = [(each.kind, f"{each.kind} {each.rule} {MARKS[each.status]}") for each in stage.conditions]
    return DrawnStage(
        name=stage.name if stage.kind == "deliver" else f"{stage.name} ({stage.kind})",
        rows=rows,
        before=tuple(line for kind, line in asked if kind == "BeforeEntry"),
        after=tuple(line for kind, line in asked if kind != "BeforeEntry"),
        status=stage.status,
    )


def gantt(execution: Execution, *, in_virtual: bool) -> Gantt:
    """Return the actions of an execution as bars.

    Args:
        execution: The execution.
        in_virtual: True for virtual time; otherwise real time.
    """
    spans = list(_spans(execution, in_virtual=in_virtual))
    end = max((start + length for _, _, start, length in spans), default=1.0) or 1.0
    scale = (WIDTH - LABEL) / end
    bars, bands, y = [], [], 0.0
    for stage in execution.stages:
        top = y
        for of, action, start, length in spans:
            if of is not stage:
                continue
            bars.append(Bar(action, stage.name, y == top, LABEL + start * scale, max(1.5, length * scale), y))
            y += ROW
        if y > top:
            bands.append((f"{stage.name}{'' if stage.kind == 'deliver' else f' ({stage.kind})'}", top, y - top))
    step = _step(end)
    ticks = [(LABEL + at * scale, virtual(at)) for at in _range(step, end)]
    return Gantt(bars, ticks, bands, y)


def _spans(execution: Execution, *, in_virtual: bool) -> Iterator[tuple[PlayedStage, PlayedAction, float, float]]:
    """Yield stage, action, start and length in seconds. Stages and groups of actions follow each other."""
    now = 0.0
    for stage in execution.stages:
        for group in _groups(stage):
            lengths = [action.virtual_seconds if in_virtual else action.seconds for action in group]
            for action, length in zip(group, lengths, strict=True):
                yield stage, action, now, length
            now += max(lengths)
        if in_virtual:
            now += sum(condition.virtual_seconds for condition in stage.conditions)


def _groups(stage: PlayedStage) -> Iterable[list[PlayedAction]]:
    """Return the actions of a stage, grouped by those that ran in parallel."""
    groups: dict[tuple[int, int], list[PlayedAction]] = {}
    for action in stage.actions:
        groups.setdefault((action.attempt, action.run_order), []).append(action)
    return groups.values()


def _step(end: float) -> float:
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400):
        if end / step <= 9:
            return float(step)
    return end / 8


def _range(step: float, end: float) -> Iterator[float]:
    at = 0.0
    while at <= end:
        yield at
        at += step


def canary(deployment: PlayedDeployment) -> Markup:
    """Return a picture of a deployment's minutes: requests by version, weight, errors, and alarms."""
    minutes = deployment.minutes
    if not minutes:
        return Markup("")
    height, base = 120, 100
    step = 44
    most = max((minute.requests_old + minute.requests_new for minute in minutes), default=1) or 1
    size = f"0 0 {step * len(minutes) + 44} {height + 24}"
    parts = [f'<svg viewBox="{size}" role="img" class="canary" aria-label="{html.escape(_said(deployment))}">']
    for place, minute in enumerate(minutes):
        x = 40 + place * step
        new = base * minute.requests_new / most
        old = base * minute.requests_old / most
        bad = base * (minute.errors_new + minute.errors_old) / most
        title = (
            f"minute {minute.minute}: {minute.requests_old} requests to version {deployment.old_version}, "
            f"{minute.requests_new} to {deployment.new_version}; {minute.errors_old + minute.errors_new} failed"
        )
        parts.append(f"<g><title>{html.escape(title)}</title>")
        parts.append(f'<rect class="old" x="{x}" y="{base - old:.1f}" width="28" height="{old:.1f}"/>')
        parts.append(f'<rect class="new" x="{x}" y="{base - old - new:.1f}" width="28" height="{new:.1f}"/>')
        if bad:
            parts.append(
                f'<rect class="bad" x="{x + 30}" y="{base - max(bad, 3):.1f}" width="6" height="{max(bad, 3):.1f}"/>'
            )
        ringing = [name for name, state in minute.alarms.items() if state == "ALARM"]
        colour = "ringing" if ringing else "calm"
        parts.append(f'<circle class="{colour}" cx="{x + 14}" cy="{base + 9}" r="4"/>')
        parts.append(f'<text x="{x + 14}" y="{base + 26}" class="tick">{minute.minute}</text></g>')
    parts.append(f'<text x="0" y="10" class="tick left">{most}</text><text x="0" y="{base}" class="tick left">0</text>')
    parts.append("</svg>")
    return Markup("".join(parts))  # noqa: S704  # nosec B704  # every text in it is escaped above


def _said(deployment: PlayedDeployment) -> str:
    return (
        f"{deployment.function}: version {deployment.new_version} met {deployment.met_new} requests, "
        f"{deployment.failed_new} of them failed"
    )


def _changed(action: PlayedAction) -> dict[str, int]:
    """Return the changes of a change set, by kind."""
    found: dict[str, int] = {}
    for change in action.changes:
        kind = "replaced" if change.replacement == "True" else change.action.lower()
        found[kind] = found.get(kind, 0) + 1
    return found


def read(folder: Path) -> dict[str, Any] | None:
    """Return the result of the last run in a folder; None without one."""
    found: dict[str, Any] | None = files.read_json(folder / "result.json")
    return found
