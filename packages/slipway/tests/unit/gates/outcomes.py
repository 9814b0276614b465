"""Steps of the gates and their outcomes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from slipway.gates.outcome import Accepted, Finding, Outcome
from slipway.gates.run import Ended
from slipway.gates.steps import Step, StepContext

GREEN = Outcome.of([], "looked")
RED = Outcome.of([Finding("file.py:1", "B307", "evaluates <what> it is given")], "looked")
OPEN = Outcome.not_done("nobody answers")
ACCEPTED = Outcome.of([], "looked", accepted=[Accepted("a", "B1", "because", owner="o", expires=date(2027, 1, 1))])


def step(name: str, run: Callable[[StepContext], Outcome], *, after: tuple[str, ...] = ()) -> Step:
    return Step(name, name, run, after=after)


def ended(**outcomes: Outcome) -> list[Ended]:
    return [Ended(step(name, lambda _: GREEN), outcome, 1.25) for name, outcome in outcomes.items()]
