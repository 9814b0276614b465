"""How a version counts its own faults."""

from __future__ import annotations

import io

import pytest
from aws_lambda_powertools.metrics import MetricUnit

from slipway.testing.functions import Counted
from slipway_runtime.telemetry import count_fault, flush_metrics, metrics


def test_a_fault_is_one_of_the_function_s_version(counted: Counted) -> None:
    # When a fault is counted
    count_fault()
    # Then it is a metric of its own, under the dimensions that a deployment's alarm reads (slipway.blocks.deployment)
    (fault,) = counted("Faults")
    (directive,) = fault["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "Slipway",
        "Dimensions": [["function_name", "function_version", "service"]],
        "Metrics": [{"Name": "Faults", "Unit": "Count"}],
    }
    assert (fault["function_name"], fault["function_version"]) == ("function", "7")
    assert fault["Faults"] == [1.0]
    # And Lambda drops it at no level of the log
    assert fault["level"] == "ERROR"


def test_what_is_counted_beside_it_keeps_its_own_dimensions(
    capsys: pytest.CaptureFixture[str], counted: Counted
) -> None:
    # Given a metric that waits to be written, when a fault is counted in between, twice
    metrics.add_metric("Others", MetricUnit.Count, 1)
    count_fault()
    count_fault()
    assert len(counted("Faults")) == 2
    flush_metrics()
    # Then the other is written once, with the dimensions of before
    (other,) = counted("Others")
    assert other["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert "function_version" not in other
    assert "Faults" not in other
    # And a fault after it is one fault
    count_fault()
    (fault,) = counted("Faults")
    assert fault["Faults"] == [1.0]


def test_where_metrics_are_off_no_fault_is_written(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")

    count_fault()

    assert counted("Faults") == []


@pytest.mark.parametrize("missing", ["AWS_LAMBDA_FUNCTION_VERSION", "POWERTOOLS_METRICS_NAMESPACE"])
def test_what_cannot_be_counted_is_logged_and_raises_nothing(
    counted: Counted, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO, missing: str
) -> None:
    # Given a process outside of Lambda, or without a namespace
    monkeypatch.delenv(missing)
    # When a fault is counted, then nothing is raised, and the log says that it is not in the metric
    count_fault()
    assert counted("Faults") == []
    assert "fault not counted" in logs.getvalue()
