"""How the result of a load test is judged; `local/test_performance.py` runs one."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from slipway.cli import main
from slipway.performance.command import LastGood
from slipway.performance.measured import Measured, PerformanceRun, as_junit, find_faults, percentile, read_run
from slipway.performance.run import load_of
from slipway.settings.model import Performance

LIMITS = Performance(p95_ms=500, error_percent=1.0, tolerance_percent=50)


def run(**changes: Any) -> PerformanceRun:
    given: dict[str, Any] = {"requests": 200, "failures": 0, "p50_ms": 40.0, "p95_ms": 100.0, "rate": 3.0, **changes}
    total = Measured(name="", **given)
    return PerformanceRun("catalog", total, (Measured(name="GET /items", **given),))


def entry(name: str, times: dict[str, int], failures: int = 0) -> dict[str, Any]:
    return {"name": name, "response_times": times, "num_requests": sum(times.values()), "num_failures": failures}


@pytest.mark.parametrize(
    ("times", "percent", "is_"),
    [({}, 95, 0.0), ({10.0: 1}, 95, 10.0), ({10.0: 95, 99.0: 5}, 95, 10.0), ({10.0: 94, 99.0: 6}, 95, 99.0)],
)
def test_percentiles_are_measured_times(times: dict[float, int], percent: int, is_: float) -> None:
    assert percentile(times, percent) == is_


def test_statistics_are_summed_over_the_routes() -> None:
    found = read_run("catalog", [entry("b", {"10": 90}, 1), entry("a", {"200": 10}, 2)], 10)
    assert (found.total.requests, found.total.failures, found.total.p95_ms, found.total.rate) == (100, 3, 200.0, 10.0)
    assert [each.name for each in found.routes] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "last", "says"),
    [
        ({}, None, []),
        ({}, {"p95_ms": 67.0}, []),
        ({"p95_ms": 501.0}, None, ["p95 is 501 ms, above 500 ms"]),
        ({"failures": 3}, None, ["1.5 % of 200 requests failed; at most 1 % may"]),
        ({"requests": 0}, None, ["no request was sent"]),
        ({}, {"p95_ms": 66.0}, ["p95 is 100 ms, more than 50 % above the 66 ms of the last good run"]),
        # With few requests, two slow ones determine the p95
        ({}, {"p95_ms": 66.0, "requests": 49}, []),
        ({"requests": 49}, {"p95_ms": 66.0}, []),
    ],
)
def test_limits_and_the_last_good_run_decide(
    changes: dict[str, Any], last: dict[str, Any] | None, says: list[str]
) -> None:
    before = run(**last).plain() if last else None
    assert list(find_faults(run(**changes), LIMITS, before)) == says


def test_times_of_a_rehearsal_do_not_count_and_errors_do() -> None:
    assert list(find_faults(run(p95_ms=9_000.0), LIMITS, run().plain(), timed=False)) == []
    assert len(list(find_faults(run(failures=100), LIMITS, None, timed=False))) == 1


@pytest.mark.parametrize(
    ("traffic", "wanted", "rate", "users"),
    [
        (5.0, Performance(), 5.0, 5),
        (5.0, Performance(times=3.0), 15.0, 15),
        (500.0, Performance(most_per_second=30.0), 30.0, 30),
        (0.01, Performance(), 1.0, 1),
    ],
)
def test_the_rate_follows_the_traffic_within_bounds(
    traffic: float, wanted: Performance, rate: float, users: int
) -> None:
    load = load_of(wanted, traffic)
    assert (load.rate, load.users) == (rate, users)


def test_faults_fail_a_case_of_the_report() -> None:
    assert 'failures="0"' in as_junit(run(), [])
    assert "<failure" in as_junit(run(), ["p95 is 501 ms, above 500 ms"])


def test_the_last_good_run_is_stored_per_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, bytes] = {}

    class S3:
        class exceptions:  # noqa: N801 - as boto3 calls it
            NoSuchKey = KeyError

        def get_object(self, **call: str) -> dict[str, Any]:
            return {"Body": Mock(read=lambda: kept[call["Key"]])} if call["Key"] in kept else self._missing()

        def put_object(self, **call: Any) -> None:
            kept[call["Key"]] = call["Body"]

        def _missing(self) -> Any:
            raise self.exceptions.NoSuchKey

    monkeypatch.setattr("boto3.client", lambda _: S3())
    good = LastGood("bucket", "staging")
    assert good.read("catalog") is None
    good.write(run())
    assert list(kept) == ["performance/staging/catalog.json"]
    assert good.read("catalog") == run().plain()
    # Outside the pipeline's build there is no earlier run to compare with
    assert LastGood(None, "staging").read("catalog") is None


@pytest.mark.parametrize("env", ["dev", "prod"])
def test_only_a_test_environment_is_loaded(env: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["perform", "--env", env, "--service", "catalog"]) == 2
    assert "only a test environment" in capsys.readouterr().err
