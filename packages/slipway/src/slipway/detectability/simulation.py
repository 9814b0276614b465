"""Simulate many deployments of a new version, with CloudWatch's rules deciding which are rolled back.

What is assumed:

- Invocations arrive as `arrivals` draws them; the alias sends each to the new version with the probability of its
  weight.
- A deployment may start at any second of a minute; six evenly spaced seconds are simulated.
- A minute's metrics, both Lambda's and those that a version writes to its log, are available in CloudWatch
  `METRIC_DELAY` seconds after the minute ends, and each alarm is evaluated on the full minute. CodeDeploy rolls back as
  soon as an alarm of its group is active, until the new version has all traffic.
- The old version has no failures.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from slipway.cloudwatch import AlarmState, Metric, MetricStore, evaluate
from slipway.detectability.arrivals import Arrivals, Counts, poisson
from slipway.detectability.faults import HEALTHY_MS, FailureMode
from slipway.detectability.rollouts import FAULTS, MetricScope, Rollout
from slipway.settings.shifts import MINUTE, Shift

METRIC_DELAY = 60.0
"""Seconds until a minute's metrics are available. Lambda sends them in intervals of a minute
(https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics.html); AWS promises no figure.
"""

RUNS = 600
"""Runs per case: the probability is then accurate to four percentage points at worst, and to two near 95 %."""

SEED = 20_240_501
"""Seed of every case, so that runs are reproducible."""

OFFSETS = (5.0, 15.0, 25.0, 35.0, 45.0, 55.0)
"""Seconds within a minute at which a deployment starts."""

_WELL = FailureMode("none")


@dataclass(frozen=True)
class SimulationOutcome:
    """Fate of a new version, over all runs.

    Args:
        runs: Number of runs.
        minutes: For each run that was rolled back, the time from the first shift of traffic to the rollback.
        hurt: For each run, the invocations that failed until the version was rolled back or had all traffic.
    """

    runs: int
    minutes: tuple[float, ...]
    hurt: tuple[int, ...]

    @property
    def caught(self) -> float:
        """Share of the runs in which it was rolled back before it had all traffic."""
        return len(self.minutes) / self.runs

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Return the probability's 95 % confidence interval (Wilson's score interval)."""
        z, n, p = 1.96, self.runs, self.caught
        middle = p + z * z / (2 * n)
        margin = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max((middle - margin) / scale, 0.0), min((middle + margin) / scale, 1.0)

    @property
    def minutes_median(self) -> float | None:
        """The median time until the rollback, minutes; None if it was never rolled back."""
        return statistics.median(self.minutes) if self.minutes else None

    def hurt_percentile(self, percent: float) -> int:
        """Return the number of harmed invocations that a percentage of the runs did not exceed."""
        ordered = sorted(self.hurt)
        return ordered[max(math.ceil(percent / 100 * len(ordered)) - 1, 0)]


def simulate(
    rollout: Rollout,
    fault: FailureMode,
    rate: float,
    *,
    shift: Shift | None = None,
    runs: int = RUNS,
    seed: int = SEED,
    metric_delay: float = METRIC_DELAY,
    arrivals: Arrivals = poisson,
    offsets: Sequence[float] = OFFSETS,
) -> SimulationOutcome:
    """Simulate deployments of a version with a fault.

    Args:
        rollout: The deployment group.
        fault: Fault of the new version.
        rate: Invocations of the function per second.
        shift: How traffic moves. Default: the group's configuration.
        runs: Number of runs.
        seed: Seed of the random numbers; the same seed gives the same outcome.
        metric_delay: Seconds until a minute's metrics are available.
        arrivals: How invocations arrive. Default: at random.
        offsets: Seconds within a minute at which deployments start, in turn.
    """
    moving = shift or rollout.shift
    # The seed doesn't depend on names: functions with the same alarms and traffic have the same outcome.
    random = Random(f"{seed} {fault.name} {rate:g} {moving.name}")  # noqa: S311  # chances, not secrets
    plans = [_Plan(rollout, moving, rate, offset) for offset in offsets]
    minutes: list[float] = []
    hurt: list[int] = []
    for number in range(runs):
        caught, harm = plans[number % len(plans)].play(fault, random, metric_delay, arrivals)
        hurt.append(harm)
        if caught is not None:
            minutes.append(caught / MINUTE)
    return SimulationOutcome(runs, tuple(minutes), tuple(hurt))


class _Plan:
    """The minutes of a deployment that starts at an offset."""

    def __init__(self, rollout: Rollout, shift: Shift, rate: float, offset: float) -> None:
        self._alarms = rollout.alarms
        self._scopes = tuple(rollout.scopes.items())
        self._both = any(scope is MetricScope.ALIAS for _, scope in self._scopes)
        self._start, self._full = offset, offset + shift.full_after
        self._minutes = [
            (minute, rate * shift.moved(begin - offset, end - offset), rate * (end - begin))
            for minute, begin, end in _clock_minutes(offset, self._full)
        ]

    def play(
        self, fault: FailureMode, random: Random, metric_delay: float, arrivals: Arrivals
    ) -> tuple[float | None, int]:
        """Return when the version was rolled back, seconds from the start, and the invocations harmed until then."""
        store = MetricStore()
        states = [AlarmState.INSUFFICIENT_DATA] * len(self._alarms)
        waiting: list[tuple[float, Counts, Counts]] = []
        harm = 0
        for minute, expected, altogether in self._minutes:
            new = arrivals(expected, fault, random)
            old = arrivals(altogether - expected, _WELL, random) if self._both else (0, 0, 0, 0)
            harm += new[0] + new[1] + new[2]
            now = (minute + 1) * MINUTE
            if now >= self._full:
                break
            waiting.append((minute * MINUTE, new, old))
            while waiting and waiting[0][0] + MINUTE + metric_delay <= now:
                self._publish(store, *waiting.pop(0), fault.latency_ms)
            if self._alarm_is_on(store, now, states):
                return now - self._start, harm
        return None, harm

    def _alarm_is_on(self, store: MetricStore, now: float, states: list[AlarmState]) -> bool:
        for place, alarm in enumerate(self._alarms):
            states[place] = evaluate(alarm, store, now, states[place]).state
        return AlarmState.ALARM in states

    def _publish(self, store: MetricStore, at: float, new: Counts, old: Counts, latency_ms: float) -> None:
        for metric, scope in self._scopes:
            errors, answered, slow, well = new
            if scope is MetricScope.ALIAS:
                well += sum(old)
            all_of_them = errors + answered + slow + well
            if metric.name == FAULTS:
                # Without failures, nothing is written.
                store.put_values(metric, (1.0,), at, counts=(answered,))
            elif all_of_them:
                _put(store, metric, at, (errors, slow, all_of_them), latency_ms)


def _put(store: MetricStore, metric: Metric, at: float, counts: tuple[int, int, int], latency_ms: float) -> None:
    """Put the metrics that Lambda publishes for a minute's invocations."""
    errors, slow, invocations = counts
    match metric.name:
        case "Errors":
            store.put_values(metric, (0.0, 1.0), at, counts=(invocations - errors, errors))
        case "Duration":
            store.put_values(metric, (HEALTHY_MS, latency_ms), at, counts=(invocations - slow, slow))
        case "Throttles":
            store.put_values(metric, (0.0,), at, counts=(invocations,))
        case _:
            store.put_values(metric, (1.0,), at, counts=(invocations,))


def _clock_minutes(begin: float, end: float) -> Iterator[tuple[int, float, float]]:
    """Yield the clock minutes between two times, each with the part of it that lies between them."""
    for minute in range(math.floor(begin / MINUTE), math.ceil(end / MINUTE)):
        yield minute, max(begin, minute * MINUTE), min(end, (minute + 1) * MINUTE)
