"""Run the steps in parallel, unless one waits for another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import date

from slipway.gates.outcome import Finding, Outcome
from slipway.gates.steps import Step, StepContext
from slipway.supply.errors import SupplyError
from slipway.supply.policy import SupplyPolicy
from slipway.supply.repository import ScannedTree


@dataclass(frozen=True)
class Ended:
    """A step that has ended."""

    step: Step
    outcome: Outcome
    seconds: float


def run_all(
    steps: tuple[Step, ...],
    repository: ScannedTree,
    policy: SupplyPolicy,
    *,
    today: date,
    say: Callable[[Ended], None] = lambda _: None,
) -> tuple[Ended, ...]:
    """Run all steps to the end.

    A step that others depend on always runs first, however it ends.

    Args:
        steps: The rows, with their dependencies.
        repository: The repository to check.
        policy: The policy, with accepted findings.
        today: Acceptances that end before this day are expired.
        say: Called with each step that has ended.

    Returns:
        The ended steps, in the order of the rows.
    """
    ended: dict[str, Ended] = {}
    left = list(steps)
    running: set[Future[Ended]] = set()
    # One more than there are processors: the audits wait for the network.
    with ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 1) as pool:
        while left or running:
            ready = [step for step in left if all(name in ended for name in step.after)]
            for step in ready:
                left.remove(step)
                earlier = {name: ended[name].outcome for name in step.after}
                running.add(pool.submit(_run, step, repository, policy, today, earlier))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                one = future.result()
                ended[one.step.name] = one
                say(one)
    return tuple(ended[step.name] for step in steps)


def _run(
    step: Step, repository: ScannedTree, policy: SupplyPolicy, today: date, earlier: Mapping[str, Outcome]
) -> Ended:
    started = time.perf_counter()
    context = StepContext(repository=repository, policy=policy, today=today, earlier=earlier)
    try:
        outcome = step.run(context)
    except SupplyError as error:
        # The cause is local, not the network: this always stops the change.
        outcome = Outcome.of([Finding(step.name, "broken", str(error))], "could not run")
    return Ended(step=step, outcome=outcome, seconds=time.perf_counter() - started)
