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
    # Then it is a separate metric, with the dimensions that a deployment's alarm reads (slipway.blocks.deployment)
    (fault,) = counted("Faults")
    (directive,) = fault["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "Slipway",
        "Dimensions": [["function_name", "function_version", "service"]],
        "Metrics": [{"Name": "Faults", "Unit": "Count"}],
    }
    assert (fault["function_name"], fault["function_version"]) == ("function", "7")
    assert fault["Faults"] == [1.0]
    # And Lambda filters it at no log level
    assert fault["level"] == "ERROR"


def test_other_metrics_keep_their_own_dimensions(capsys: pytest.CaptureFixture[str], counted: Counted) -> None:
    # Given a metric that is not yet written, when two faults are counted in between
    metrics.add_metric("Others", MetricUnit.Count, 1)
    count_fault()
    count_fault()
    assert len(counted("Faults")) == 2
    flush_metrics()
    # Then the other metric is written once, with its previous dimensions
    (other,) = counted("Others")
    assert other["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert "function_version" not in other
    assert "Faults" not in other
    # And a later fault counts as one
    count_fault()
    (fault,) = counted("Faults")
    assert fault["Faults"] == [1.0]


def test_no_fault_is_written_if_metrics_are_off(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")

    count_fault()

    assert counted("Faults") == []


@pytest.mark.parametrize("missing", ["AWS_LAMBDA_FUNCTION_VERSION", "POWERTOOLS_METRICS_NAMESPACE"])
def test_faults_that_cannot_be_counted_are_logged(
    counted: Counted, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO, missing: str
) -> None:
    # Given a process outside Lambda, or without a namespace
    monkeypatch.delenv(missing)
    # When a fault is counted, then nothing is raised, and the log reports that it was not counted
    count_fault()
    assert counted("Faults") == []
    assert "fault not counted" in logs.getvalue()
