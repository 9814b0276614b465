"""A dashboard is drawn from its body: every widget is in its place, with no invented data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from slipway.drawing.dashboards import Dashboard, Widget, draw, draw_all, misplaced, read
from slipway.errors import RehearsalError

OBSERVABILITY, COMPUTE = "prod-tiny-observability", "prod-tiny-compute"
FUNCTION = {"Fn::GetStackOutput": {"StackName": COMPUTE, "OutputName": "Name", "Region": "us-east-1"}}


def graph(x: int, y: int, width: int, height: int = 6, **properties: Any) -> dict[str, Any]:
    """Return a widget of a dashboard's body."""
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "properties": {"title": f"{x}/{y}", "metrics": [["AWS/Lambda", "Errors"]]} | properties,
    }


def stacks(*widgets: dict[str, Any]) -> dict[str, Any]:
    """Return two stacks; the dashboard's body refers to `FUNCTION` wherever a widget says `$function`."""
    before, *after = json.dumps({"widgets": widgets}).split("$function")
    parts: list[Any] = [before]
    for text in after:
        parts += [FUNCTION, text]
    return {
        COMPUTE: {
            "Resources": {"WorkerABCDEF01": {"Type": "AWS::Lambda::Function", "Properties": {}}},
            "Outputs": {"Name": {"Value": {"Ref": "WorkerABCDEF01"}}},
        },
        OBSERVABILITY: {
            "Resources": {
                "Dashboard": {
                    "Type": "AWS::CloudWatch::Dashboard",
                    "Properties": {"DashboardName": "tiny", "DashboardBody": {"Fn::Join": ["", parts]}},
                }
            }
        },
    }


def parsed(picture: str) -> ElementTree.Element:
    """Parse the picture as a browser does, which is strict about XML."""
    return ElementTree.fromstring(picture)  # noqa: S314  # nosec B314  # drawn here


def texts(picture: str) -> list[str]:
    """Return the texts that a reader sees."""
    svg = "{http://www.w3.org/2000/svg}"
    return ["".join(element.itertext()) for element in parsed(picture).iter(f"{svg}text")]


def one(**properties: Any) -> Widget:
    """Return the only widget of a dashboard."""
    (widget,) = read(stacks(graph(0, 0, 24, **properties))).widgets
    return widget


def test_references_become_names_across_stacks() -> None:
    widget = one(metrics=[["AWS/Lambda", "Errors", "FunctionName", "$function"]])

    assert widget.source == "AWS/Lambda · FunctionName compute/Worker"


def test_a_broken_reference_is_reported() -> None:
    # Given a reference to an output that does not exist
    templates = stacks(graph(0, 0, 24, title="$function"))
    templates[COMPUTE]["Outputs"] = {}
    with pytest.raises(RehearsalError, match="refers to nothing in the stage"):
        read(templates)


def test_lines_say_label_metric_statistic_and_period() -> None:
    widget = one(
        metrics=[
            ["AWS/Lambda", "Duration", "FunctionName", "a", {"label": "slowest", "stat": "p99", "period": 60}],
            [".", "Errors", ".", "."],
            ["...", "b", {"color": "#123456"}],
        ]
    )

    assert [(line.label, line.text) for line in widget.lines] == [
        ("slowest", "Duration · p99 · 1 min"),
        # By default, CloudWatch uses the average over five minutes
        ("Errors", "Average · 5 min"),
        ("Errors", "Average · 5 min"),
    ]
    assert [widget.own(line) for line in widget.lines] == ["FunctionName a", "FunctionName a", "FunctionName b"]
    assert widget.lines[2].color == "#123456"


def test_expressions_are_shown_with_their_metrics() -> None:
    widget = one(
        metrics=[
            [{"expression": "100 * errors", "label": "rate", "period": 60}],
            ["AWS/Lambda", "Errors", {"id": "errors", "visible": False, "label": "hidden", "period": 60}],
        ]
    )

    assert [(line.label, line.text) for line in widget.lines] == [
        ("rate", "100 * errors · 1 min"),
        ("", "errors = Errors · Average · 1 min"),
    ]


def test_picture_is_complete_even_without_data() -> None:
    # Given a graph with an axis and a threshold, and a single-value widget
    dashboard = read(
        stacks(
            graph(
                0,
                0,
                12,
                title="Errors & <throttles>",
                yAxis={"left": {"label": "a minute"}},
                annotations={"horizontal": [{"value": 5, "label": "alarm: > 5", "color": "#d62728"}]},
            ),
            graph(12, 0, 12, title="Now", view="singleValue"),
        )
    )
    # When it is drawn
    said = texts(draw(dashboard))
    # Then the picture contains all of them
    assert {"tiny", "Errors & <throttles>", "a minute", "alarm: > 5", "Now", "no data"} <= set(said)
    assert any("no data: layout only" in text for text in said)
    assert draw(dashboard) == draw(dashboard)


def test_thresholds_keep_their_proportion() -> None:
    # Given a graph with thresholds of 1 and 4
    lines = [{"value": value, "label": f"at {value}"} for value in (1, 4)]
    picture = parsed(draw(read(stacks(graph(0, 0, 24, annotations={"horizontal": lines}, yAxis={"left": {"min": 0}})))))
    # When their heights above the axis are measured
    heights = {text.text: float(text.get("y", 0)) + 5 for text in picture.iter() if str(text.text).startswith("at ")}
    (zero,) = (float(text.get("y", 0)) - 4 for text in picture.iter() if text.text == "0")
    # Then the second is four times as high
    assert zero - heights["at 4"] == pytest.approx(4 * (zero - heights["at 1"]), abs=0.5)


@pytest.mark.parametrize(
    ("widgets", "fault"),
    [
        ([graph(0, 0, 12), graph(12, 0, 13)], "'12/0' is not within the 24 columns"),
        ([graph(0, 0, 13), graph(12, 0, 12)], "'12/0' overlaps '0/0'"),
        ([graph(0, 0, 8), graph(16, 0, 8)], "row 0 is empty from column 8 to 15"),
        ([graph(0, 0, 24, 3), graph(0, 4, 24)], "row 3 is empty from column 0 to 23"),
        ([graph(0, 0, 12, 3), graph(12, 0, 12, 2)], "row 2 is empty from column 12 to 23"),
    ],
)
def test_widgets_that_do_not_fill_their_rows_are_refused(widgets: list[dict[str, Any]], fault: str) -> None:
    with pytest.raises(RehearsalError) as refusal:
        read(stacks(*widgets))
    assert fault in str(refusal.value)


def test_full_rows_are_accepted() -> None:
    dashboard = read(stacks(graph(0, 0, 8), graph(8, 0, 16), graph(0, 6, 24, 3)))

    assert not list(misplaced(dashboard.widgets))
    assert dashboard.rows == 9


@pytest.mark.parametrize(
    "widget",
    [graph(0, 0, 24, view="pie"), {"type": "text", "x": 0, "y": 0, "width": 24, "height": 1, "properties": {}}],
    ids=["pie", "text"],
)
def test_a_kind_of_widget_that_is_not_drawn_is_refused(widget: dict[str, Any]) -> None:
    # A picture without this widget would not show the dashboard
    with pytest.raises(RehearsalError, match="no picture for a widget of type"):
        read(stacks(widget))


def test_a_stage_without_a_dashboard_is_refused() -> None:
    templates = stacks()
    del templates[OBSERVABILITY]
    with pytest.raises(RehearsalError, match="0 dashboards"):
        read(templates)


def test_long_words_are_cut_and_stay_within_their_widget() -> None:
    (title,) = (text for text in texts(draw(Dashboard("tiny", [one(title="long " * 100)]))) if text.startswith("long"))

    assert title.endswith("…")
    assert len(title) < 200


def test_the_pictures_are_written_from_the_assembly(tmp_path: Path) -> None:
    # Given an assembly with one stage
    stage = tmp_path / "assembly-Pipeline-prod-tiny"
    stage.mkdir()
    artifacts = {}
    for name, template in stacks(graph(0, 0, 24)).items():
        (stage / f"{name}.json").write_text(json.dumps(template))
        properties = {"stackName": name, "templateFile": f"{name}.json"}
        artifacts[name] = {"type": "aws:cloudformation:stack", "properties": properties}
    (stage / "manifest.json").write_text(json.dumps({"artifacts": {"tree": {"type": "cdk:tree"}} | artifacts}))
    # When it is drawn
    (picture,) = draw_all(tmp_path, "prod", ["tiny"], tmp_path / "services")
    # Then the picture is where the service's page looks for it
    assert picture == tmp_path / "services" / "tiny" / "dashboard.svg"
    assert "tiny" in texts(picture.read_text(encoding="utf-8"))


def test_a_missing_assembly_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RehearsalError, match="run `make synth`"):
        draw_all(tmp_path, "prod", ["tiny"], tmp_path)
