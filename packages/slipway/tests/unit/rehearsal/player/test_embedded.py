"""Metrics that functions write to their logs in embedded metric format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.cloudwatch import Metric
from slipway.rehearsal.player.embedded import Counted, counted


def line(metrics: list[dict[str, Any]], dimensions: list[list[str]], **values: Any) -> str:
    directive = {"Namespace": "Slipway", "Dimensions": dimensions, "Metrics": metrics}
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **values})


FAULT = line(
    [{"Name": "Faults", "Unit": "Count"}],
    [["service", "function_version"]],
    service="items",
    function_version="7",
    Faults=[1.0],
)
FAULTS = Metric.of("Slipway", "Faults", {"service": "items", "function_version": "7"})


def test_a_metric_is_found_among_other_lines() -> None:
    # Given a log with JSON records, Lambda's own lines, and one metric
    log = "\n".join(["START RequestId: 1", '{"level":"INFO","message":"_aws"}', FAULT, "[1, 2]", "END"])

    assert counted(log) == (Counted(FAULTS, (1.0,), "Count"),)


def test_every_set_of_dimensions_is_its_own_metric() -> None:
    log = line([{"Name": "Made"}], [["service"], []], service="items", Made=3)

    assert counted(log) == (
        Counted(Metric.of("Slipway", "Made", {"service": "items"}), (3.0,), None),
        Counted(Metric.of("Slipway", "Made"), (3.0,), None),
    )


def test_every_metric_of_a_line_is_found() -> None:
    log = line([{"Name": "A", "Unit": "Count"}, {"Name": "B", "Unit": "Bytes"}], [[]], A=[1, 2], B=5)

    assert counted(log) == (
        Counted(Metric.of("Slipway", "A"), (1.0, 2.0), "Count"),
        Counted(Metric.of("Slipway", "B"), (5.0,), "Bytes"),
    )


@pytest.mark.parametrize("cut", [FAULT[10:], FAULT[:-10], '{"_aws": 1}', '{"_aws": {}}', '"_aws"', ""])
def test_truncated_or_foreign_log_line_is_skipped(cut: str) -> None:
    assert counted(f"{cut}\n{FAULT}") == (Counted(FAULTS, (1.0,), "Count"),)
    assert counted(cut) == ()
