"""Run every gate, or only some: `slipway gates`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from slipway.gates.exports import JSON_FILE, JUNIT_FILE, write
from slipway.gates.outcome import in_pipeline
from slipway.gates.report import print_all, print_findings, terminal
from slipway.gates.run import Ended, run_all
from slipway.gates.steps import STEPS, chosen
from slipway.supply.errors import SupplyError
from slipway.supply.policy import load_policy
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import built


def run_gates(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[STEP|VERB]...", help="Names of steps. Default: all.")
    ] = None,
) -> None:
    """Run the gates: the nag gate and the supply chain.

    A step that cannot reach a service it needs is reported as not done. In the pipeline's build that stops the change.

    Exit code: 0 if nothing stops the change, 1 if something does, 2 for wrong input.
    """
    console = terminal()
    repository = ScannedTree()
    strict = in_pipeline(os.environ)
    steps, policy = chosen(names or ()), load_policy()
    whole = {step.name for step in STEPS if step.supply} <= {step.name for step in steps}
    if whole:
        # Reports of an earlier run say nothing about this one.
        for path in (repository.report / JSON_FILE, repository.test_reports / JUNIT_FILE):
            path.unlink(missing_ok=True)

    def say(ended: Ended) -> None:
        console.print(f"{ended.step.name}: {ended.outcome.state.value} ({ended.seconds:.1f} s)", markup=False)
        print_findings(ended.outcome, console)

    ended = run_all(steps, repository, policy, today=datetime.now(UTC).date(), say=say)
    if whole:
        try:
            zips = built(repository)
        except SupplyError:
            # The step that needs the zips has already reported their absence.
            zips = ()
        write(
            [one for one in ended if one.step.supply],
            zips,
            strict=strict,
            json_file=repository.report / JSON_FILE,
            junit_file=repository.test_reports / JUNIT_FILE,
        )
    raise typer.Exit(int(print_all(ended, console, strict=strict)))
