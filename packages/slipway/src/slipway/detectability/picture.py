"""Draw the survey as a self-contained SVG.

Drawn from a template like the dashboards: lines on axes don't need a plotting library, which every user would have to
install, and whose output differs between versions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from slipway.detectability.report import all_at_once
from slipway.detectability.simulation import SimulationOutcome
from slipway.detectability.survey import CURVE, ENOUGH, WATCHED, SurveyedFunction

# The dashboards' colours, which are also distinct for people with red-green blindness.
_COLORS = ("#1f77b4", "#ff7f0e", "#9467bd", "#2ca02c", "#8c564b")

PANEL_WIDTH, PANEL_HEIGHT = 380, 190
"""Size of a panel's plot area, pixels."""


@dataclass(frozen=True)
class PlottedLine:
    """A function's line: its legend, and its points in pixels of the panel."""

    label: str
    color: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class AxisTick:
    """A tick of an axis: its position in pixels, and its label."""

    place: float
    label: str


@dataclass(frozen=True)
class Panel:
    """One chart."""

    title: str
    lines: Sequence[PlottedLine]
    marks: Sequence[AxisTick]
    goal: float | None


@dataclass(frozen=True)
class Band:
    """An environment: its charts row by row, or why it has none."""

    title: str
    rows: Sequence[Sequence[Panel]]


def draw(findings: Sequence[SurveyedFunction]) -> str:
    """Return the picture; equal findings give equal text."""
    bands = [
        _band(environment, [finding for finding in findings if finding.rollout.environment == environment])
        for environment in dict.fromkeys(finding.rollout.environment for finding in findings)
    ]
    environment = Environment(
        loader=PackageLoader("slipway.detectability"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("detectability.svg.j2").render(
        bands=bands,
        columns=max((len(row) for band in bands for row in band.rows), default=1),
        rates=[AxisTick(_across(share), f"{share * 100:g} %") for share in CURVE if f"{share:e}".startswith("1")],
        watched=AxisTick(_across(WATCHED.errors), f"{WATCHED.errors * 100:g} %"),
        panel_width=PANEL_WIDTH,
        panel_height=PANEL_HEIGHT,
    )


def _band(environment: str, findings: Sequence[SurveyedFunction]) -> Band:
    moving = [finding for finding in findings if not all_at_once(finding)]
    if not moving:
        return Band(f"{environment}: all traffic moves at once, and no alarm stops a new version", ())
    services = list(dict.fromkeys(finding.rollout.service for finding in moving))
    configurations = ", ".join(dict.fromkeys(finding.rollout.shift.name for finding in moving))
    most = max((_harm(outcome) for finding in moving for outcome in finding.curve.values()), default=1)
    ceiling = 10 ** max(math.ceil(math.log10(most + 1)), 1)
    chances, harms = [], []
    for service in services:
        own = [finding for finding in moving if finding.rollout.service == service]
        chances.append(
            Panel(
                f"{service}: caught before full traffic",
                [_line(finding, place, lambda outcome: outcome.caught) for place, finding in enumerate(own)],
                [AxisTick(_up(share), f"{share * 100:g} %") for share in (0, 0.25, 0.5, 0.75, 1)],
                _up(ENOUGH),
            )
        )
        harms.append(
            Panel(
                f"{service}: affected until then, 95th percentile",
                [
                    _line(finding, place, lambda outcome: _scaled(_harm(outcome), ceiling))
                    for place, finding in enumerate(own)
                ],
                [
                    AxisTick(_up(_scaled(number, ceiling)), f"{number:,}")
                    for number in (0, *(10**power for power in range(round(math.log10(ceiling)) + 1)))
                ],
                None,
            )
        )
    return Band(f"{environment}: {configurations}", (chances, harms))


def _harm(outcome: SimulationOutcome) -> int:
    return outcome.hurt_percentile(95)


def _line(finding: SurveyedFunction, place: int, height: Callable[[SimulationOutcome], float]) -> PlottedLine:
    points = [(_across(share), _up(height(outcome))) for share, outcome in finding.curve.items()]
    label = f"{finding.rollout.function}, {finding.rate:g} per second"
    return PlottedLine(label, _COLORS[place % len(_COLORS)], points)


def _across(share: float) -> float:
    """Return the distance from the left, pixels: the failure rate on a logarithmic axis."""
    low, high = math.log10(CURVE[0]), math.log10(CURVE[-1])
    return round((math.log10(share) - low) / (high - low) * PANEL_WIDTH, 1)


def _scaled(number: float, ceiling: float) -> float:
    """Return the position on the axis as a share; logarithmic, with a place for zero."""
    return math.log10(number + 1) / math.log10(ceiling + 1)


def _up(share: float) -> float:
    """Return the distance from the top, pixels."""
    return round((1 - share) * PANEL_HEIGHT, 1)
