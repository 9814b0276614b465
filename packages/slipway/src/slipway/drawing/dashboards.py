"""Draw a dashboard from its body: the place and content of each widget, without data.

The body comes from the synthesised template, so readers without an account see what is deployed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slipway import files, project
from slipway.assembly.flat import stack_template
from slipway.assembly.reader import read_manifest
from slipway.emulator.stages import stage_folder
from slipway.emulator.substitutions import Template
from slipway.errors import RehearsalError

SERVICES = project.ROOT / "services"

COLUMNS = 24
"""Columns of a dashboard (https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html)."""

PERIOD, STATISTIC = 300, "Average"
"""Defaults of a line, by the same page: period in seconds, and statistic."""

# CloudWatch's default colours of lines, in order.
_COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f")

COLUMN, ROW, HEADER = 60, 46, 56
"""Pixels of the picture: width of a column, height of a row, and of the title."""


@dataclass(frozen=True)
class WidgetLine:
    """A metric or an expression of a widget.

    Args:
        label: Its name in the legend; "" if it is only an input of expressions.
        color: Colour of the line, `#rrggbb`.
        text: Text beside its label: metric, statistic and period, or the expression.
        namespace: Namespace of the metric; "" for an expression.
        metric: Name of the metric; "" for an expression.
        statistic: `Sum`, `p90`, …; "" for an expression.
        dimensions: Dimensions of the metric.
    """

    label: str
    color: str
    text: str
    namespace: str = ""
    metric: str = ""
    statistic: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Threshold:
    """A horizontal line."""

    value: float
    label: str
    color: str


@dataclass(frozen=True)
class Widget:
    """A widget and its place; x, y, width and height are in columns and rows."""

    x: int
    y: int
    width: int
    height: int
    title: str
    single: bool
    lines: Sequence[WidgetLine]
    thresholds: Sequence[Threshold]
    axis: str

    @property
    def source(self) -> str:
        """Namespace and dimensions that all its metrics share."""
        metrics = [line for line in self.lines if line.namespace]
        namespaces = " and ".join(dict.fromkeys(line.namespace for line in metrics))
        return " · ".join([namespaces, *_words(self._shared)])

    def own(self, line: WidgetLine) -> str:
        """Return the dimensions that only this line has."""
        return " · ".join(_words({key: value for key, value in line.dimensions.items() if key not in self._shared}))

    @property
    def _shared(self) -> Mapping[str, str]:
        first, *others = [line.dimensions for line in self.lines if line.namespace] or [{}]
        return {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}

    @property
    def cells(self) -> set[tuple[int, int]]:
        """Every place that it covers, as row and column."""
        return {(row, x) for row in range(self.y, self.y + self.height) for x in range(self.x, self.x + self.width)}


@dataclass(frozen=True)
class Dashboard:
    """A dashboard's name and its widgets, in their order."""

    name: str
    widgets: Sequence[Widget]

    @property
    def rows(self) -> int:
        """Return the number of rows."""
        return max((widget.y + widget.height for widget in self.widgets), default=0)


def read(stacks: Mapping[str, Template]) -> Dashboard:
    """Return the only dashboard of a stage.

    Args:
        stacks: Templates of the stage by the stacks' names; references are followed from one to another.

    Raises:
        RehearsalError: The stage doesn't have exactly one dashboard, a reference cannot be resolved, a widget's kind
            cannot be drawn, or the widgets do not fill their rows.
    """
    found = [
        (stack, resource["Properties"])
        for stack, template in stacks.items()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Dashboard"
    ]
    if len(found) != 1:
        raise RehearsalError(f"{', '.join(stacks)}: {len(found)} dashboards, not one")
    ((stack, properties),) = found
    name = properties.get("DashboardName", stack)
    body = json.loads(readable(stacks, stack, properties["DashboardBody"]))
    dashboard = Dashboard(name, [_widget(name, widget) for widget in body["widgets"]])
    if faults := list(misplaced(dashboard.widgets)):
        raise RehearsalError(f"{name}: {'; '.join(faults)}")
    return dashboard


def misplaced(widgets: Sequence[Widget]) -> Iterator[str]:
    """Yield errors in the positions of widgets: outside, overlapping, or with a gap beside them."""
    taken: dict[tuple[int, int], Widget] = {}
    for widget in widgets:
        if widget.x < 0 or widget.y < 0 or widget.x + widget.width > COLUMNS:
            yield f"{widget.title!r} is not within the {COLUMNS} columns"
        upon = {taken[cell].title for cell in widget.cells if cell in taken}
        yield from (f"{widget.title!r} overlaps {other!r}" for other in sorted(upon))
        taken |= dict.fromkeys(widget.cells, widget)
    rows = max((row for row, _ in taken), default=-1) + 1
    for row in range(rows):
        holes = [column for column in range(COLUMNS) if (row, column) not in taken]
        if holes:
            yield f"row {row} is empty from column {holes[0]} to {holes[-1]}"


def draw(dashboard: Dashboard) -> str:
    """Return the picture as a self-contained SVG; equal dashboards give equal text."""
    environment = Environment(
        loader=PackageLoader("slipway.drawing"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("dashboard.svg.j2").render(
        dashboard=dashboard, column=COLUMN, row=ROW, header=HEADER, columns=COLUMNS, heights=_heights, fit=_fit
    )


def draw_all(assembly: Path, environment: str, services: Sequence[str], folder: Path = SERVICES) -> list[Path]:
    """Draw the dashboard of each service of an environment.

    Args:
        assembly: The whole assembly, `cdk.out`.
        environment: Name of the environment.
        services: Names of the services.
        folder: Folder with a folder for each service's picture. Default: the project's services.

    Returns:
        The pictures.

    Raises:
        RehearsalError: As for `read`, or the assembly lacks the stage.
    """
    pictures = []
    for service in services:
        picture = folder / service / "dashboard.svg"
        files.write_text(picture, draw(read(_stacks(stage_folder(assembly, environment, service)))))
        pictures.append(picture)
    return pictures


def _stacks(folder: Path) -> Mapping[str, Template]:
    return {stack.name: stack_template(stack) for stack in read_manifest(folder).stacks()}


def readable(stacks: Mapping[str, Template], stack: str, value: Any) -> str:
    """Return a template's value with readable names in place of references.

    Args:
        stacks: Templates by the stacks' names.
        stack: The stack with the value.
        value: A string, or a reference, or a join of them.

    Raises:
        RehearsalError: A reference cannot be resolved.
    """
    match value:
        case str():
            return value
        case {"Fn::Join": [str(delimiter), list(parts)]}:
            return delimiter.join(readable(stacks, stack, part) for part in parts)
        case {"Ref": str(name)} if name.startswith("AWS::"):
            return name
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), str()]} if name in stacks[stack]["Resources"]:
            return _name(stack, name, stacks[stack]["Resources"][name])
        case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(output)}} if output in stacks.get(
            owner, {}
        ).get("Outputs", {}):
            return readable(stacks, owner, stacks[owner]["Outputs"][output]["Value"])
    raise RehearsalError(f"{stack}: {json.dumps(value)} refers to nothing in the stage")


def _name(stack: str, logical_id: str, resource: Mapping[str, Any]) -> str:
    """Return a stage's name; for other resources the stack's part of the service, and the id without CDK's digest."""
    if resource["Type"] == "AWS::ApiGateway::Stage":
        return str(resource["Properties"]["StageName"])
    return f"{stack.rpartition('-')[2]}/{re.sub(r'[0-9A-F]{8}$', '', logical_id)}"


_SINGLE = frozenset({"gauge", "singleValue"})
"""Views of a widget that show one figure."""


def _widget(dashboard: str, widget: Mapping[str, Any]) -> Widget:
    properties = widget["properties"]
    view = properties.get("view", "timeSeries")
    if widget["type"] != "metric" or view not in {"timeSeries", *_SINGLE}:
        raise RehearsalError(f"{dashboard}: no picture for a widget of type {widget['type']} and view {view}")
    axis = properties.get("yAxis", {}).get("left", {})
    return Widget(
        x=widget["x"],
        y=widget["y"],
        width=widget["width"],
        height=widget["height"],
        title=properties.get("title", ""),
        single=view in _SINGLE,
        lines=list(_lines(properties["metrics"])),
        thresholds=[
            Threshold(line["value"], line.get("label", ""), line.get("color", "#7f7f7f"))
            for line in properties.get("annotations", {}).get("horizontal", [])
        ],
        axis=axis.get("label") or "the metric's unit",
    )


def _lines(metrics: Sequence[Sequence[Any]]) -> Iterator[WidgetLine]:
    above: list[str] = []
    for place, metric in enumerate(metrics):
        options = metric[-1] if isinstance(metric[-1], dict) else {}
        entries = [entry for entry in metric if isinstance(entry, str)]
        # `.` repeats the value above; `...` repeats all of them except those that follow.
        if entries and entries[0] == "...":
            entries = above[: len(above) - len(entries) + 1] + entries[1:]
        above = [above[at] if entry == "." else entry for at, entry in enumerate(entries)]
        period = _duration(options.get("period", PERIOD))
        hidden = options.get("visible") is False
        # A line that isn't drawn is shown by its id, as in expressions.
        label = "" if hidden else options.get("label")
        prefix = f"{options['id']} = " if hidden and "id" in options else ""
        color = options.get("color", _COLORS[place % len(_COLORS)])
        if "expression" in options:
            expression = options["expression"]
            yield WidgetLine(expression if label is None else label, color, f"{prefix}{expression} · {period}")
            continue
        namespace, name, *rest = above
        label = name if label is None else label
        statistic = options.get("stat", STATISTIC)
        words = [statistic, period] if label == name else [name, statistic, period]
        dimensions = dict(zip(rest[::2], rest[1::2], strict=True))
        yield WidgetLine(label, color, f"{prefix}{' · '.join(words)}", namespace, name, statistic, dimensions)


def _duration(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"


def _words(dimensions: Mapping[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in dimensions.items()]


def _heights(thresholds: Sequence[Threshold]) -> list[tuple[Threshold, float]]:
    """Return each threshold with its height as a share of the axis, which ends slightly above the highest."""
    top = max((threshold.value for threshold in thresholds), default=0) * 1.3 or 1
    return [(threshold, round(threshold.value / top, 3)) for threshold in thresholds]


def _fit(text: str, pixels: float, size: float) -> str:
    """Return text shortened to a width: Helvetica's letters are slightly over half as wide as high."""
    room = int(pixels / (size * 0.54))
    return text if len(text) <= room else f"{text[: room - 1].rstrip()}…"
