"""The simulation matches closed formulas where they exist, and common sense elsewhere."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.detectability import FailureMode, simulate
from slipway.detectability.arrivals import poisson, regular
from slipway.detectability.survey import WATCHED, most
from slipway.settings.shifts import Shift, ShiftKind
from unit.detectability.stages import alarm, rollout

RUNS = 400

# The alarm of the closed formula: Sum(Errors) >= 1 in a one-minute period, one out of one
ONE_ERROR = rollout(alarms={"Errors": alarm("Errors", 1)})


def close(found: float, expected: float) -> bool:
    """Return True if a share is within five standard deviations, plus one run, of its expected value."""
    return abs(found - expected) <= 5 * math.sqrt(max(expected * (1 - expected), 0) / RUNS) + 1 / RUNS


def canary(percent: int, minutes: int) -> Shift:
    return Shift(ShiftKind.CANARY, percent, minutes)


class Watched(Shift):
    """All traffic at once, but watched for some minutes."""

    @property
    def steps(self) -> tuple[tuple[int, float], ...]:
        return ((0, 1), (60 * self.minutes, 1))


def watched(minutes: int) -> Shift:
    return Watched(ShiftKind.ALL_AT_ONCE, 100, minutes)


# Starting with the minute, so that whole minutes are seen, but slightly later, so that no evaluation coincides with the
# shift
AT_ONCE: dict[str, Any] = {"runs": RUNS, "offsets": (0.001,), "metric_delay": 0.0}


@given(
    requests=st.integers(1, 60),
    share=st.integers(1, 100).map(lambda percent: percent / 100),
    minutes=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_missed_failures_match_the_closed_form(requests: int, share: float, minutes: int) -> None:
    # Given exactly n requests to the new version in each minute of the canary, each failing with probability p
    found = simulate(
        ONE_ERROR,
        FailureMode.failing(share),
        requests / 60,
        shift=watched(minutes),
        arrivals=regular,
        **AT_ONCE,
    )
    # When the alarm watches the sum of errors, then it is caught unless none of them fails: 1 - (1 - p)^n
    assert close(found.caught, 1 - (1 - share) ** (requests * minutes))


@pytest.mark.requirement("safe deployments")
@given(
    rate=st.floats(0.05, 20),
    weight=st.integers(1, 50),
    share=st.floats(0.001, 1),
    minutes=st.integers(1, 6),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_random_arrivals_miss_a_failure_by_the_closed_form(
    rate: float, weight: int, share: float, minutes: int
) -> None:
    # Given random arrivals, a share of which reach the new version, a share of which fails
    found = simulate(
        ONE_ERROR, FailureMode.failing(share), rate, shift=canary(weight, minutes), arrivals=poisson, **AT_ONCE
    )
    # When failures are rare events with that mean, then it is caught unless there is none: 1 - exp(-mean)
    mean = rate * weight / 100 * share * minutes * 60
    assert close(found.caught, 1 - math.exp(-mean))


@given(rate=st.floats(0.5, 20), share=st.floats(0.001, 1))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_late_metrics_delay_detection(rate: float, share: float) -> None:
    # Given metrics with a delay of one minute, and a five-minute canary that starts with the minute
    found = simulate(
        ONE_ERROR,
        FailureMode.failing(share),
        rate,
        shift=canary(10, 5),
        runs=RUNS,
        offsets=(0.001,),
        metric_delay=60,
    )
    # When the alarm is last evaluated at the end of minute five, then it has seen four minutes
    assert close(found.caught, 1 - math.exp(-rate * 0.1 * share * 240))


@given(
    rate=st.floats(0.05, 50),
    share=st.floats(0.001, 1),
    name=st.sampled_from(["Canary10Percent5Minutes", "Canary10Percent10Minutes", "Linear10PercentEvery1Minute"]),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_an_outcome_is_within_its_bounds(rate: float, share: float, name: str) -> None:
    # Given any traffic and any failure, when it is simulated
    shift = Shift.named(name)
    found = simulate(ONE_ERROR, FailureMode.failing(share), rate, shift=shift, runs=60)
    # Then it is caught in a share of the runs, before full traffic, and affects at most the requests that arrived
    assert 0 <= found.caught <= 1
    assert len(found.hurt) == 60
    assert all(0 < minutes < shift.full_after / 60 for minutes in found.minutes)
    came = rate * shift.moved(0, shift.full_after)
    assert max(found.hurt) <= came + 9 * math.sqrt(came) + 40
    assert found.interval[0] <= found.caught <= found.interval[1] + 1e-12
    # And no run catches a failure that affected nobody
    assert sum(harm > 0 for harm in found.hurt) >= len(found.minutes)


@given(rate=st.floats(0.01, 30))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_failures_that_do_not_occur_are_not_detected(rate: float) -> None:
    # Given any rate, when the failure is simulated, then it is not detected more often than it occurs
    for name in ("Canary10Percent5Minutes", "Canary10Percent15Minutes"):
        shift = Shift.named(name)
        found = simulate(ONE_ERROR, WATCHED, rate, shift=shift, runs=RUNS)
        bound = most(shift, rate)
        assert found.caught <= bound + 5 * math.sqrt(bound * (1 - bound) / RUNS) + 1 / RUNS


@given(shares=st.tuples(st.floats(0.001, 0.3), st.floats(1.5, 3)), rate=st.floats(0.5, 10))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_worse_versions_and_more_traffic_are_detected_more_often(shares: tuple[float, float], rate: float) -> None:
    # Given a failure and a worse one
    share, factor = shares
    less, more, busier = (
        simulate(ONE_ERROR, FailureMode.failing(failing), traffic, runs=RUNS).caught
        for failing, traffic in ((share, rate), (min(share * factor, 1), rate), (share, rate * factor))
    )
    # Then the worse one is detected more often, and so is the same one with more traffic, except by chance
    slack = 5 * math.sqrt(0.5 / RUNS)
    assert more >= less - slack
    assert busier >= less - slack
