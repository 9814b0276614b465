"""Dashboards show what the alarms watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from infrastructure import synthesis
from slipway.blocks.objectives import OUTSIDE_BAKE
from slipway.drawing.dashboards import Dashboard, Widget, read, readable
from slipway.service import Service
from slipway.testing.templates import DeployedTemplates
from specimen.delivery import SERVICES

THROUGH_SERVICES = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def _stacks(deployment: DeployedTemplates) -> Mapping[str, Any]:
    return {template.stack_name: template.raw for template in deployment}


def _dashboard(variant: str, service: type[Service]) -> Dashboard:
    return read(_stacks(synthesis.deployment(variant, service)))


@pytest.mark.requirement("the dashboard")
@pytest.mark.parametrize("variant", ["dev", "staging", "prod"])
@THROUGH_SERVICES
def test_widgets_fill_their_rows_and_say_what_they_show(variant: str, service: type[Service]) -> None:
    # Given a dashboard, which would be unreadable with gaps or overlapping widgets
    widgets = _dashboard(variant, service).widgets
    # Then each widget has a unique title, and each of its lines a unique name and colour
    assert len({widget.title for widget in widgets}) == len(widgets)
    for widget in widgets:
        shown = [line for line in widget.lines if line.label]
        assert shown, widget.title
        assert len({line.label for line in shown}) == len({line.color for line in shown}) == len(shown), widget.title


def _assert_shares_a_graph(alarm: Mapping[str, Any], graphs: Sequence[Widget]) -> None:
    """Assert that a graph shows the expression of an alarm, with a line at its threshold."""
    (expression,) = (query["Expression"] for query in alarm["Metrics"] if query.get("ReturnData", True))
    thresholds = {
        threshold.value
        for graph in graphs
        if any(expression in line.text for line in graph.lines)
        for threshold in graph.thresholds
    }
    assert alarm["Threshold"] in thresholds, alarm["AlarmDescription"]


def test_objectives_show_budgets_and_burn_rates() -> None:
    widgets = {widget.title: widget for widget in _dashboard("prod", SERVICES[0]).widgets}

    for objective in ("availability", "latency"):
        assert any(title.startswith("Budget left of 28 days") and objective in title for title in widgets)
        rates = {threshold.value for threshold in widgets[f"Burn rate: {objective}, over an hour"].thresholds}
        assert rates == {13.44, 5.6, 1}


def test_deployments_are_marked_by_the_versions_of_each_function() -> None:
    (marks,) = (each for each in _dashboard("prod", SERVICES[0]).widgets if each.title.startswith("Deployments:"))

    assert [line.label.partition(" ")[0] for line in marks.lines] == ["Api", "Stream"]
    assert all("ExecutedVersion" in line.text and "SEARCH(" in line.text for line in marks.lines)


@pytest.mark.requirement("the dashboard")
@THROUGH_SERVICES
def test_every_alarm_has_its_threshold_on_a_graph(service: type[Service]) -> None:
    # Given the service's alarms, except single windows of objectives, whose graph shows rates instead of shares
    deployment = synthesis.deployment("prod", service)
    alarms = [
        resource["Properties"]
        for key, resource in deployment["observability"].of_type("AWS::CloudWatch::Alarm").items()
        if OUTSIDE_BAKE not in key
    ]
    graphs = [widget for widget in _dashboard("prod", service).widgets if not widget.single]
    assert alarms
    for alarm in alarms:
        if "Metrics" in alarm:
            _assert_shares_a_graph(alarm, graphs)
            continue
        watched = (
            alarm["Namespace"],
            alarm["MetricName"],
            alarm.get("Statistic", alarm.get("ExtendedStatistic")),
            {
                dimension["Name"]: readable(
                    _stacks(deployment), deployment["observability"].stack_name, dimension["Value"]
                )
                for dimension in alarm.get("Dimensions", [])
            },
        )
        # Then a graph shows the alarm's metric, with a line at its threshold
        thresholds = {
            threshold.value
            for graph in graphs
            if any((line.namespace, line.metric, line.statistic, line.dimensions) == watched for line in graph.lines)
            for threshold in graph.thresholds
        }
        assert alarm["Threshold"] in thresholds, alarm["AlarmDescription"]
