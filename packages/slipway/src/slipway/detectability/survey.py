"""Survey the functions of some environments: which failures each canary detects, and what would detect more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipway.detectability.faults import FailureMode
from slipway.detectability.rollouts import Rollout
from slipway.detectability.simulation import METRIC_DELAY, RUNS, SEED, SimulationOutcome, simulate
from slipway.settings.shifts import PREDEFINED, Shift

ENOUGH = 0.95
"""Minimum probability at which a canary counts as detecting a failure."""

WATCHED = FailureMode.failing(0.05)
"""The failure that every canary is tested with."""

FAULTS = (
    *(FailureMode.failing(share) for share in (0.001, 0.01, 0.05, 0.20, 1.0)),
    FailureMode.parse("latency=3s"),
    FailureMode.parse("latency=3s@5%"),
    FailureMode.parse("answered=5%"),
)
"""Failures in the table unless others are requested."""

CURVE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Failure rates of the picture."""

CURVE_RUNS = 300
"""Runs for a point of the picture that is not in the table."""

_FEW_RUNS = 60

# Round rates: 1, 1.5, 2, 3, 5, 7 and their multiples of ten.
_RATES = tuple(digit * 10.0**power for power in range(-3, 4) for digit in (1, 1.5, 2, 3, 5, 7))


@dataclass(frozen=True)
class Case:
    """A failure of a function, and its outcome."""

    fault: FailureMode
    outcome: SimulationOutcome


@dataclass(frozen=True)
class DetectionVerdict:
    """Whether a canary detects the watched failure, and what would detect it.

    Args:
        outcome: Outcome of that failure.
        quickest: The predefined configuration that detects it at this rate and reaches all traffic soonest; None if the
            current one detects it, or none does.
        quickest_outcome: The failure's outcome with that configuration.
        rate: Minimum invocations per second at which the current configuration detects it; None if it is already
            detected, or would not be at any rate.
    """

    outcome: SimulationOutcome
    quickest: Shift | None = None
    quickest_outcome: SimulationOutcome | None = None
    rate: float | None = None

    @property
    def sees(self) -> bool:
        """Return True if the current configuration detects it at the current rate."""
        return self.outcome.caught >= ENOUGH


@dataclass(frozen=True)
class SurveyedFunction:
    """A function of an environment.

    Args:
        rollout: Its deployment group.
        rate: Invocations per second.
        cases: The requested failures.
        curve: Share of failing invocations → outcome.
        verdict: Verdict on the watched failure.
    """

    rollout: Rollout
    rate: float
    cases: Sequence[Case]
    curve: Mapping[float, SimulationOutcome]
    verdict: DetectionVerdict


@dataclass
class Survey:
    """Cache of simulated cases.

    Args:
        runs: Number of runs per case.
        seed: Seed of the random numbers.
        metric_delay: Seconds until a minute's metrics are available.
    """

    runs: int = RUNS
    seed: int = SEED
    metric_delay: float = METRIC_DELAY
    _known: dict[object, SimulationOutcome] = field(default_factory=dict, repr=False)

    def examine(self, rollout: Rollout, rate: float, faults: Sequence[FailureMode] = FAULTS) -> SurveyedFunction:
        """Survey a function.

        Args:
            rollout: Its deployment group.
            rate: Invocations per second.
            faults: Failures of its new version.
        """
        cases = [Case(fault, self._outcome(rollout, fault, rate)) for fault in faults]
        asked = {
            case.fault.errors: case.outcome for case in cases if case.fault == FailureMode.failing(case.fault.errors)
        }
        curve = {
            share: asked.get(share)
            or self._outcome(rollout, FailureMode.failing(share), rate, runs=min(self.runs, CURVE_RUNS))
            for share in CURVE
        }
        return SurveyedFunction(rollout, rate, cases, curve, self._verdict(rollout, rate))

    def _outcome(
        self, rollout: Rollout, fault: FailureMode, rate: float, *, shift: Shift | None = None, runs: int | None = None
    ) -> SimulationOutcome:
        key = (rollout.signature, shift or rollout.shift, fault, rate, runs or self.runs)
        if key not in self._known:
            self._known[key] = simulate(
                rollout,
                fault,
                rate,
                shift=shift,
                runs=runs or self.runs,
                seed=self.seed,
                metric_delay=self.metric_delay,
            )
        return self._known[key]

    def _verdict(self, rollout: Rollout, rate: float) -> DetectionVerdict:
        outcome = self._outcome(rollout, WATCHED, rate)
        if outcome.caught >= ENOUGH:
            return DetectionVerdict(outcome)
        quickest, found = self._quickest(rollout, rate)
        return DetectionVerdict(outcome, quickest, found, self._rate(rollout, rate))

    def _quickest(self, rollout: Rollout, rate: float) -> tuple[Shift | None, SimulationOutcome | None]:
        for shift in sorted(PREDEFINED, key=lambda known: known.full_after):
            if most(shift, rate) < ENOUGH:
                continue
            outcome = self._outcome(rollout, WATCHED, rate, shift=shift)
            if outcome.caught >= ENOUGH:
                return shift, outcome
        return None, None

    def _rate(self, rollout: Rollout, rate: float) -> float | None:
        higher = [known for known in _RATES if known > rate and most(rollout.shift, known) >= ENOUGH]
        # Alarms that detect nothing at the highest rate detect nothing at any rate.
        if not higher or self._outcome(rollout, WATCHED, higher[-1], runs=_FEW_RUNS).caught < ENOUGH:
            return None
        return next((known for known in higher if self._outcome(rollout, WATCHED, known).caught >= ENOUGH), None)


def most(shift: Shift, rate: float) -> float:
    """Return the probability that the watched failure happens before the new version has all traffic.

    No alarm can detect it more often, so a configuration for which this is too low needs no simulation.
    """
    return 1 - math.exp(-rate * shift.moved(0, shift.full_after) * WATCHED.harmful)
