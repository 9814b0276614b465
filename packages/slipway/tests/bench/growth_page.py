"""The scaling page: its table and picture are written from the measurements."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.project import ROOT
from slipway.rules.aws.codepipeline import ACTIONS

PAGE = ROOT / "docs" / "scaling.md"
PICTURE = ROOT / "docs" / "images" / "scaling.svg"
_TABLE = re.compile(r"(?<=<!-- scaling -->\n).*?(?=<!-- /scaling -->)", re.DOTALL)


@dataclass(frozen=True)
class Size:
    """The cost and size of an app with a number of services."""

    services: int
    stacks: int
    resources: int
    synth_seconds: float
    """Building and synthesis, with all gates on every template."""
    review_seconds: float
    """Reviewing one changed function, with existing assemblies."""
    assembly_bytes: int
    """The artifact of the pipeline's build, without the code zips."""
    pipeline_resources: int
    pipeline_bytes: int
    """The pipeline's template."""
    stages: int
    actions: int
    actions_per_stage: int
    """The maximum per stage."""
    findings: int
    """Findings of the gates; zero as long as nothing exceeds a limit that a rule checks."""


COLUMNS: Mapping[str, str] = {
    "services": "services",
    "stacks": "stacks",
    "resources": "resources",
    "synth_seconds": "synthesis and gates, s",
    "review_seconds": "review, s",
    "assembly_bytes": "assembly, MB",
    "pipeline_resources": "resources of the pipeline's stack",
    "pipeline_bytes": "its template, KB",
    "stages": "stages",
    "actions": "actions",
    "actions_per_stage": "most actions in a stage",
}


def table(sizes: Sequence[Size]) -> str:
    """Return the sizes as a Markdown table."""
    lines = [list(COLUMNS.values()), ["---:"] * len(COLUMNS)]
    lines += [[_shown(figure, getattr(size, figure)) for figure in COLUMNS] for size in sizes]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(figure: str, value: float) -> str:
    match figure:
        case "assembly_bytes":
            return f"{value / 1e6:.1f}"
        case "pipeline_bytes":
            return f"{value / 1e3:,.0f}"
        case "synth_seconds" | "review_seconds":
            return f"{value:.1f}"
    return f"{value:,.0f}"


PANELS: Mapping[str, str] = {
    "synth_seconds": "synthesis and gates, s",
    "review_seconds": "review, s",
    "assembly_bytes": "assembly, MB",
    "pipeline_bytes": "template of the pipeline, KB",
    "actions": "actions of the pipeline",
    "actions_per_stage": "most actions in a stage",
}
_WIDTH, _HEIGHT, _LEFT, _TOP = 200, 120, 50, 34
_ACROSS = 3


def picture(sizes: Sequence[Size]) -> str:
    """Return the sizes as an SVG with one panel per figure, each with the straight line of linear growth."""
    rows = -(-len(PANELS) // _ACROSS)
    width, height = _ACROSS * (_WIDTH + _LEFT + 20), rows * (_HEIGHT + _TOP + 36)
    panels = [
        f'<g transform="translate({number % _ACROSS * (_WIDTH + _LEFT + 20) + _LEFT},'
        f'{number // _ACROSS * (_HEIGHT + _TOP + 36) + _TOP})">{_panel(sizes, figure, title)}</g>'
        for number, (figure, title) in enumerate(PANELS.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="11">'
        "<title>How cost grows with the number of services</title>"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>{"".join(panels)}</svg>\n'
    )


def _panel(sizes: Sequence[Size], figure: str, title: str) -> str:
    values = [float(getattr(size, figure)) for size in sizes]
    most, services = max(values) * 1.15, sizes[-1].services

    def at(count: float, value: float) -> str:
        return f"{count / services * _WIDTH:.1f},{_HEIGHT - value / most * _HEIGHT:.1f}"

    first, second = sizes[0].services, sizes[1].services
    slope = (values[1] - values[0]) / (second - first)
    straight = f"{at(first, values[0])} {at(services, values[0] + slope * (services - first))}"
    measured = " ".join(at(size.services, value) for size, value in zip(sizes, values, strict=True))
    parts = [
        f'<text x="0" y="-12" font-weight="600" fill="#1f2933">{title}</text>',
        f'<path d="M0 0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="#9aa5b1"/>',
        f'<polyline points="{straight}" fill="none" stroke="#9aa5b1" stroke-dasharray="4 4"/>',
        f'<polyline points="{measured}" fill="none" stroke="#1f77b4" stroke-width="2"/>',
    ]
    if figure == "actions" and max(values) > ACTIONS:
        height = _HEIGHT - ACTIONS / most * _HEIGHT
        parts.append(f'<path d="M0 {height:.1f}H{_WIDTH}" stroke="#d62728"/>')
        parts.append(f'<text x="4" y="{height - 4:.1f}" fill="#d62728">quota: {ACTIONS}</text>')
    for size, value in zip(sizes, values, strict=True):
        x, y = at(size.services, value).split(",")
        parts.append(f'<circle cx="{x}" cy="{y}" r="3" fill="#1f77b4"/>')
        parts.append(
            f'<text x="{x}" y="{float(y) - 7:.1f}" text-anchor="end" fill="#1f2933">{_shown(figure, value)}</text>'
        )
        parts.append(f'<text x="{x}" y="{_HEIGHT + 15}" text-anchor="middle" fill="#52606d">{size.services}</text>')
    return "".join(parts)


def write_page(sizes: Sequence[Size], *, page: Path = PAGE, image: Path = PICTURE) -> None:
    """Write the table into the page, and the picture.

    Args:
        sizes: Sizes in ascending order.
        page: The page, with `<!-- scaling -->` and `<!-- /scaling -->` around the table.
        image: The picture's file.
    """
    text = page.read_text(encoding="utf-8")
    page.write_text(_TABLE.sub(lambda _: f"{table(sizes)}\n", text), encoding="utf-8")
    image.write_text(picture(sizes), encoding="utf-8")
