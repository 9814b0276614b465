"""Single simulated deployments with an obvious outcome."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from slipway.detectability import FailureMode, SimulationOutcome, simulate
from slipway.detectability.arrivals import poisson, regular
from unit.detectability.stages import ALARMS, alarm, faults_alarm, rollout

CRASH = FailureMode.failing(1)


def play(fault: FailureMode, rate: float = 10, *, of: Any = None, **options: Any) -> SimulationOutcome:
    return simulate(of or rollout(), fault, rate, runs=options.pop("runs", 120), **options)


def test_crash_under_traffic_is_caught_in_first_minutes() -> None:
    # Given ten invocations per second, of which the new version gets a tenth and fails them all
    found = play(CRASH)
    # Then it never gets all traffic: metrics arrive a minute late, so the alarm triggers before minute two
    assert found.caught == 1
    assert max(found.minutes) < 2
    assert min(found.minutes) > 1
    # And it fails a tenth of the traffic until then
    assert found.hurt_percentile(50) == pytest.approx(10 * 0.1 * 90, rel=0.2)


def test_immediate_metrics_catch_it_a_minute_sooner() -> None:
    assert max(play(CRASH, metric_delay=0).minutes) < 1
    # But never when the metrics arrive after the canary has ended
    assert play(CRASH, metric_delay=600).caught == 0


@pytest.mark.parametrize("fault", [FailureMode.parse("answered=100%"), FailureMode("none")])
def test_what_no_alarm_counts_is_never_caught(fault: FailureMode) -> None:
    found = play(fault)

    assert found.caught == 0
    assert found.minutes_median is None
    # Though it affects everyone whom the new version serves
    assert (found.hurt_percentile(50) > 0) == (fault.harmful > 0)


def test_faulty_answers_are_caught_like_errors() -> None:
    # Given a version that answers every invocation with 5xx, and an alarm on the faults that it counts
    found = play(FailureMode.parse("answered=100%"), of=rollout(alarms={**ALARMS, "Faults": faults_alarm()}))
    # Then it is caught as early as a crash
    assert found.caught == 1
    assert (min(found.minutes) > 1, max(found.minutes) < 2) == (True, True)


@pytest.mark.parametrize("fault", ["none", "error-rate=20%"])
def test_the_alarm_on_faults_counts_nothing_else(fault: str) -> None:
    counts = rollout(alarms={"Faults": faults_alarm()})

    assert play(FailureMode(fault) if fault == "none" else FailureMode.parse(fault), of=counts).caught == 0


def test_healthy_version_is_not_rolled_back() -> None:
    # Given also alarms that trigger on missing data, or watch the whole function
    alarms = {**ALARMS, "Whole": alarm("Errors", 1, dimensions=1), "Throttles": alarm("Throttles", 1)}

    assert play(FailureMode("none"), of=rollout(alarms=alarms)).caught == 0


def test_all_at_once_catches_nothing() -> None:
    found = play(CRASH, of=rollout("CodeDeployDefault.LambdaAllAtOnce"))

    assert (found.caught, found.hurt_percentile(95)) == (0, 0)


def test_without_alarms_nothing_is_caught() -> None:
    assert play(CRASH, of=rollout(alarms={})).caught == 0


@pytest.mark.parametrize(
    ("fault", "caught"),
    [("latency=3s", 1), ("latency=2999ms", 0), ("latency=3s@5%", 1), ("latency=3s@0.1%", 0)],
)
def test_p99_sees_what_one_in_a_hundred_meets(fault: str, caught: float) -> None:
    # Given a thousand invocations per minute of the new version, and a p99 threshold of three seconds
    assert play(FailureMode.parse(fault), 167).caught == caught


def test_an_alarm_on_both_versions_sees_the_new_one_diluted() -> None:
    # Given a canary with a tenth of the traffic, a fifth of it slow: 2 % of the whole
    slow = FailureMode.parse("latency=3s@20%")
    own, whole = (alarm("Duration", 3000, dimensions=number, ExtendedStatistic="p95") for number in (3, 1))
    # When p95 is the new version's, then the alarm sees it; when it is the whole function's, it does not
    assert play(slow, 100, of=rollout(alarms={"A": own})).caught == 1
    assert play(slow, 100, of=rollout(alarms={"A": whole})).caught == 0
    # And errors add up whichever dimensions count them
    assert play(CRASH, of=rollout(alarms={"A": alarm("Errors", 1, dimensions=1)})).caught == 1


def test_an_alarm_that_needs_three_minutes_takes_three() -> None:
    two = rollout(alarms={"A": alarm("Errors", 1, EvaluationPeriods=3)})

    found = play(CRASH, of=two)

    assert found.caught == 1
    assert min(found.minutes) > 3


def test_invocations_themselves_may_be_watched() -> None:
    # Given an alarm on missing invocations of the new version
    silent = alarm("Invocations", 1, ComparisonOperator="LessThanThreshold", TreatMissingData="breaching")
    silence = rollout(alarms={"A": silent})
    # When there is no traffic, it triggers; with traffic, only if the metrics arrive late
    assert play(FailureMode("none"), 0.001, of=silence).caught == 1
    assert play(FailureMode("none"), 100, of=silence, metric_delay=0).caught == 0
    assert play(FailureMode("none"), 100, of=silence, metric_delay=60).caught == 1


def test_the_same_seed_gives_the_same_and_another_gives_another() -> None:
    one = FailureMode.failing(0.01)

    assert play(one, seed=1) == play(one, seed=1)
    assert play(one, seed=1) != play(one, seed=2)


def test_outcome_includes_its_confidence_interval() -> None:
    half = SimulationOutcome(100, (1.0,) * 50, (0,) * 90 + (7,) * 10)

    assert half.caught == 0.5
    assert half.interval[0] == pytest.approx(0.404, abs=0.001)
    assert half.interval[1] == pytest.approx(0.596, abs=0.001)
    assert (half.hurt_percentile(50), half.hurt_percentile(90), half.hurt_percentile(95)) == (0, 0, 7)
    assert SimulationOutcome(100, (), (0,) * 100).interval[0] == 0
    assert SimulationOutcome(100, (1.0,) * 100, (0,) * 100).interval[1] == pytest.approx(1)


# Arrivals


@pytest.mark.parametrize("mean", [0.3, 7, 400, 20_000])
def test_poisson_numbers_have_their_mean_and_their_spread(mean: float) -> None:
    # When many numbers are drawn, then their mean and variance match the distribution
    random = Random(7)
    drawn = [poisson(mean, FailureMode("none"), random)[3] for _ in range(4000)]
    average = sum(drawn) / len(drawn)
    variance = sum((number - average) ** 2 for number in drawn) / len(drawn)

    assert average == pytest.approx(mean, rel=0.05)
    assert variance == pytest.approx(mean, rel=0.12)


@pytest.mark.parametrize("arrivals", [poisson, regular])
def test_kinds_come_in_their_shares(arrivals: Any) -> None:
    # Given a failure mode with every kind of fault
    fault = FailureMode("all", errors=0.1, answered=0.2, slow=0.3)
    random = Random(7)
    drawn = [arrivals(10, fault, random) for _ in range(3000)]
    # When the drawn arrivals are counted, then each kind has its share
    totals = [sum(counts) / len(drawn) for counts in zip(*drawn, strict=True)]
    assert totals == [pytest.approx(share, rel=0.1) for share in (1, 2, 3, 4)]


def test_regular_arrivals_are_as_many_as_expected() -> None:
    assert sum(regular(12, FailureMode.failing(0.5), Random(1))) == 12
    assert regular(12, FailureMode.failing(1), Random(1)) == (12, 0, 0, 0)
    assert poisson(0, FailureMode.failing(1), Random(1)) == (0, 0, 0, 0)
    # A negligible expectation gives zero arrivals, and no logarithm of zero
    assert poisson(1, FailureMode.failing(1 - 1e-12), Random(1))[3] == 0
