"""Every function of some environments: what its canary sees of which failure, and what would see more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from slipway.detectability.faults import Fault
from slipway.detectability.rollouts import Rollout
from slipway.detectability.simulation import METRIC_DELAY, RUNS, SEED, Outcome, simulate
from slipway.settings.shifts import PREDEFINED, Shift

ENOUGH = 0.95
"""The chance from which on a canary counts as seeing a failure."""

WATCHED = Fault.failing(0.05)
"""The failure that every canary is asked about, in words."""

FAULTS = (
    *(Fault.failing(share) for share in (0.001, 0.01, 0.05, 0.20, 1.0)),
    Fault.parse("latency=3s"),
    Fault.parse("latency=3s@5%"),
    Fault.parse("answered=5%"),
)
"""What the table shows unless it is asked for other failures."""

CURVE = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Failure rates of the picture."""

CURVE_RUNS = 300
"""Runs of a point of the picture that is not in the table."""

_FEW_RUNS = 60

# 1, 1.5, 2, 3, 5, 7 and their tens: rates that a person would say.
_RATES = tuple(digit * 10.0**power for power in range(-3, 4) for digit in (1, 1.5, 2, 3, 5, 7))


@dataclass(frozen=True)
class Case:
    """A failure of a function, and its outcome."""

    fault: Fault
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """Whether a canary sees the watched failure, and what would.

    Args:
        outcome: of that failure.
        quickest: the predefined configuration that sees it at this rate and reaches all traffic soonest; None where it
            is seen already, or where there is none.
        quickest_outcome: the failure's outcome with that configuration.
        rate: invocations a second from which on the present configuration sees it; None where it is seen already, or
            at no rate.
    """

    outcome: Outcome
    quickest: Shift | None = None
    quickest_outcome: Outcome | None = None
    rate: float | None = None

    @property
    def sees(self) -> bool:
        """Whether the present configuration sees it at the present rate."""
        return self.outcome.caught >= ENOUGH


@dataclass(frozen=True)
class Finding:
    """A function of an environment.

    Args:
        rollout: its deployment group.
        rate: invocations a second.
        cases: the failures that were asked for.
        curve: share of failing invocations → outcome.
        verdict: about the watched failure.
    """

    rollout: Rollout
    rate: float
    cases: Sequence[Case]
    curve: Mapping[float, Outcome]
    verdict: Verdict


@dataclass
class Survey:
    """Plays the cases, each once.

    Args:
        runs: how often each is played.
        seed: of the random numbers.
        metric_delay: seconds until a minute's metrics are there.
    """

    runs: int = RUNS
    seed: int = SEED
    metric_delay: float = METRIC_DELAY
    _known: dict[object, Outcome] = field(default_factory=dict, repr=False)

    def examine(self, rollout: Rollout, rate: float, faults: Sequence[Fault] = FAULTS) -> Finding:
        """Ask about a function.

        Args:
            rollout: its deployment group.
            rate: invocations a second.
            faults: failures of its new version.
        """
        cases = [Case(fault, self._outcome(rollout, fault, rate)) for fault in faults]
        asked = {case.fault.errors: case.outcome for case in cases if case.fault == Fault.failing(case.fault.errors)}
        curve = {
            share: asked.get(share)
            or self._outcome(rollout, Fault.failing(share), rate, runs=min(self.runs, CURVE_RUNS))
            for share in CURVE
        }
        return Finding(rollout, rate, cases, curve, self._verdict(rollout, rate))

    def _outcome(
        self, rollout: Rollout, fault: Fault, rate: float, *, shift: Shift | None = None, runs: int | None = None
    ) -> Outcome:
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

    def _verdict(self, rollout: Rollout, rate: float) -> Verdict:
        outcome = self._outcome(rollout, WATCHED, rate)
        if outcome.caught >= ENOUGH:
            return Verdict(outcome)
        quickest, found = self._quickest(rollout, rate)
        return Verdict(outcome, quickest, found, self._rate(rollout, rate))

    def _quickest(self, rollout: Rollout, rate: float) -> tuple[Shift | None, Outcome | None]:
        for shift in sorted(PREDEFINED, key=lambda known: known.full_after):
            if most(shift, rate) < ENOUGH:
                continue
            outcome = self._outcome(rollout, WATCHED, rate, shift=shift)
            if outcome.caught >= ENOUGH:
                return shift, outcome
        return None, None

    def _rate(self, rollout: Rollout, rate: float) -> float | None:
        higher = [known for known in _RATES if known > rate and most(rollout.shift, known) >= ENOUGH]
        # Alarms that see nothing at the highest rate see nothing at any.
        if not higher or self._outcome(rollout, WATCHED, higher[-1], runs=_FEW_RUNS).caught < ENOUGH:
            return None
        return next((known for known in higher if self._outcome(rollout, WATCHED, known).caught >= ENOUGH), None)


def most(shift: Shift, rate: float) -> float:
    """The chance that the watched failure happens at all before all traffic is at the new version.

    No alarm can see it more often, so that a configuration for which this is too low needs no simulation.
    """
    return 1 - math.exp(-rate * shift.moved(0, shift.full_after) * WATCHED.harmful)
