"""Show the progress of a run, and its tables at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from slipway.emulator.stages import EmulatedStage
from slipway.emulator.substitutions import SUBSTITUTIONS, Substitution
from slipway.process import Progress
from slipway.rehearsal.faults import Fault


class Phases:
    """Named steps of a run, timed.

    On a terminal a step in progress is a live line; elsewhere each step is a line when it starts and one when it ends.

    Args:
        console: The console to print to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[Progress]:
        """Open a step, and yield a function that shows its progress."""
        begin = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(name) as status:

                def show(text: str) -> None:
                    width = self._console.width - len(name) - 8
                    status.update(f"{name}  [dim]{text[:width].replace('[', chr(92) + '[')}")

                yield show
        else:
            self._console.print(f"{name} ...")
            yield lambda _: None
        self._seconds[name] = time.monotonic() - begin
        self._console.print(f"[green]✓[/green] {name:<20} {self._seconds[name]:6.1f} s")

    def table(self) -> Table:
        """Return the duration of each phase."""
        table = Table(title="duration by phase", title_justify="left", box=None, pad_edge=False)
        table.add_column("step")
        table.add_column("seconds", justify="right")
        for name, seconds in self._seconds.items():
            table.add_row(name, f"{seconds:.1f}")
        table.add_row("all", f"{sum(self._seconds.values()):.1f}", style="bold")
        return table


def substitution_table(stages: Iterable[EmulatedStage]) -> Table:
    """Return the rows of the substitution table that a run used, with the number of resources that each matched."""
    used: Counter[Substitution] = Counter()
    for stage in stages:
        used.update(stage.used)
    table = Table(title="replacements on this machine", title_justify="left", box=None, pad_edge=False)
    table.add_column("", justify="right")
    for name in ("on AWS", "here", "not shown here"):
        table.add_column(name, overflow="fold")
    for row, times in used.items():
        table.add_row(str(times), row.subject, row.stand_in, row.unproven)
    return table


def endpoint_table(outputs: Mapping[str, Mapping[str, str]]) -> Table:
    """Return the addresses that answer, by service."""
    table = Table(title="endpoints", title_justify="left", box=None, pad_edge=False)
    for name in ("service", "what", "address"):
        table.add_column(name, overflow="fold")
    for service, values in outputs.items():
        for output, value in values.items():
            if output.endswith("Endpoint"):
                host = f"  (Host: {values['DistributionDomain']})" if output == "EdgeEndpoint" else ""
                table.add_row(service, output.removesuffix("Endpoint").lower(), f"{value}{host}")
    return table


def substitutions_markdown() -> str:
    """Return every row of the table of substitutions, for docs/substitutions.md."""
    rows = [f"| `{row.subject}` | {row.stand_in} | {row.unproven} |" for row in SUBSTITUTIONS]
    return "\n".join(["| on AWS | here | not shown here |", "|---|---|---|", *rows])


def faults_markdown(faults: Iterable[Fault]) -> str:
    """Return the faults that can be rehearsed and their required results, for docs/rehearsal.md.

    Args:
        faults: The faults that suit the project.
    """
    rows = [f"| `{fault.name}` | {fault.what} | {_must(fault)} |" for fault in faults]
    return "\n".join(["| FAULT | what is wrong | required result |", "|---|---|---|", *rows])


def _must(fault: Fault) -> str:
    if fault.stops_at is None:
        canceled = f"it is canceled at `{fault.changes_pipeline}`, nothing is rolled back, and it starts again: "
        taken_back = ", and after a manual rollback of aliases and stages, the old version serves again"
        end = taken_back if fault.found_by else ""
        return f"{canceled if fault.changes_pipeline else ''}it reaches the last environment{end}"
    back = ", and the old version serves again" if fault.rolled_back or fault.goes_back else ""
    if fault.rollback_refused:
        back = f", and the rollback fails: `{fault.rollback_refused}`"
    return f"it is stopped at `{fault.stops_at}` by `{fault.because}`{back}"
