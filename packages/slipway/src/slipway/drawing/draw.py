"""Draw one picture per stage, so that phones show them below each other and wider screens side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from slipway.drawing.model import Action, Stage

WIDTH = 340
"""Width of a card: about a phone's width in pixels, so that font sizes here are those seen on a phone."""

_BESIDE = 3
_GAP = 4
_CHIP = 30
_LINE = 13
_HEAD = 28
_SIDE = 6
# Number of characters that fit, by the widest of the usual system fonts.
_ACROSS = 54
_SMALL, _LARGE = 5.0, 6.2
"""Width of a letter, small and large."""

STYLE = Markup(
    """
.pipeline { columns: 3 19rem; column-gap: .6rem; padding: 0; margin: .5rem 0; list-style: none; }
.pipeline li { break-inside: avoid; padding-bottom: .6rem; max-width: 24rem; }
.pipeline svg { display: block; width: 100%; height: auto; }
.pipeline text { font: 10px system-ui, sans-serif; fill: currentColor; }
.pipeline .name { font-size: 13px; font-weight: 700; } .pipeline .what { font-weight: 600; }
.pipeline .where { font-size: 9px; opacity: .75; }
.pipeline .card { fill: none; stroke: #8888; } .pipeline .chip { fill: #8882; stroke: #8884; }
.pipeline .Succeeded .chip, .pipeline .chip.Succeeded { stroke: #2e7d32; stroke-width: 1.5; }
.pipeline .Failed .chip, .pipeline .card.Failed { stroke: #d32f2f; stroke-width: 2; }
.pipeline .InProgress .chip, .pipeline .Cancelled .chip { stroke: #1e88e5; stroke-width: 1.5; }
.pipeline .Skipped { opacity: .5; }
"""
)
"""CSS for a page with such pictures."""

MARKS = {"Succeeded": "✓", "Failed": "✗", "Skipped": "·", "Cancelled": "↻", "InProgress": "…"}
"""CodePipeline's status → its symbol."""


@dataclass(frozen=True)
class _Chip:
    """An action, laid out."""

    action: Action
    x: float
    y: float
    width: float
    where: str
    what: str


@dataclass(frozen=True)
class _Card:
    """A stage, laid out.

    Args:
        notes: Top and text of each line that isn't an action.
    """

    stage: Stage
    number: int
    chips: tuple[_Chip, ...]
    notes: tuple[tuple[float, str], ...]
    height: float


def draw(stages: Iterable[Stage]) -> Markup:
    """Return an ordered list with a picture of each stage.

    Args:
        stages: The stages, in the order in which they run.
    """
    cards = [_card(number, stage) for number, stage in enumerate(stages, start=1)]
    text = _template().render(cards=cards, width=WIDTH, side=_SIDE, chip=_CHIP, marks=MARKS)
    return Markup(text)  # noqa: S704  # nosec B704  # the template escapes


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("slipway.drawing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("pipeline.svg.j2")


def _card(number: int, stage: Stage) -> _Card:
    notes: list[tuple[float, str]] = []
    y = float(_HEAD)
    for line in _wrapped(stage.before):
        notes.append((y + _LINE - 4, line))
        y += _LINE
    chips: list[_Chip] = []
    for row in stage.rows:
        for actions in _lines(row):
            chips.extend(_chips(stage, actions, y))
            y += _CHIP + _GAP
    for line in _wrapped(stage.after):
        notes.append((y + _LINE - 3, line))
        y += _LINE
    return _Card(stage, number, tuple(chips), tuple(notes), y + _GAP)


def _lines(row: tuple[Action, ...]) -> Iterator[tuple[Action, ...]]:
    """Yield a row as evenly filled lines."""
    lines = -(-len(row) // _BESIDE)
    beside = -(-len(row) // lines)
    for start in range(0, len(row), beside):
        yield row[start : start + beside]


def _chips(stage: Stage, actions: tuple[Action, ...], y: float) -> Iterator[_Chip]:
    width = (WIDTH - 2 * _SIDE - _GAP * (len(actions) - 1)) / len(actions)
    # The environment is in the heading, so it is not repeated in each action.
    prefix = f"{stage.name.partition('-')[0]}-"
    for place, action in enumerate(actions):
        where, _, what = action.name.removeprefix(prefix).rpartition(".")
        yield _Chip(
            action,
            _SIDE + place * (width + _GAP),
            y,
            width,
            _cut(where, (width - 8) / _SMALL),
            _cut(what, (width - 8) / _LARGE),
        )


def _cut(text: str, fits: float) -> str:
    return text if len(text) <= fits else f"{text[: int(fits) - 1]}…"


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from textwrap.wrap(line, _ACROSS)
