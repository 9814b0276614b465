"""Print the results of all steps on the terminal, the verdict last."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.gates.outcome import Outcome, StepState
from slipway.gates.run import Ended

# Width if the output is not a terminal, such as a build's log: rich would use 80 columns.
_LOG_WIDTH = 140
_STANDARD_STREAMS = (0, 1, 2)
_COLOURS = {StepState.PASSED: "green", StepState.FAILED: "red", StepState.NOT_DONE: "yellow"}


def terminal() -> Console:
    """Return standard output, coloured only on a terminal, and wide enough in a log."""
    return Console(highlight=False, width=None if any(map(os.isatty, _STANDARD_STREAMS)) else _LOG_WIDTH)


def print_findings(outcome: Outcome, console: Console) -> None:
    """Print the findings that stop the change, and the limits of the result.

    Args:
        outcome: Result of a step.
        console: The console to print to.
    """
    for finding in outcome.findings:
        line = f"{finding.place}: {finding.rule}: {finding.message}"
        console.print(f"  [red]{escape(line)}[/red]", soft_wrap=True)
    for note in outcome.notes:
        console.print(f"  [dim]{escape(note)}[/dim]", soft_wrap=True)


def print_all(ended: Iterable[Ended], console: Console, *, strict: bool) -> bool:
    """Print the table, and the verdict below it.

    Args:
        ended: The steps.
        console: The console to print to.
        strict: True if a step that was not done stops the change.

    Returns:
        True if the change must stop.
    """
    rows = tuple(ended)
    table = Table(title="gates", title_justify="left", title_style="bold")
    table.add_column("step", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("s", justify="right")
    table.add_column("findings", justify="right")
    table.add_column("accepted", justify="right")
    table.add_column("what was checked", overflow="fold")
    for row in rows:
        outcome = row.outcome
        table.add_row(
            row.step.name,
            f"[{_COLOURS[outcome.state]}]{outcome.state.value}[/]",
            f"{row.seconds:.1f}",
            str(len(outcome.findings)),
            str(len(outcome.accepted)),
            escape(outcome.summary),
        )
    console.print(table)
    red = any(row.outcome.stops(strict=strict) for row in rows)
    console.print(f"[{'red' if red else 'green'}]{escape(verdict(rows, strict=strict))}[/]", soft_wrap=True)
    return red


def verdict(rows: Iterable[Ended], *, strict: bool) -> str:
    """Return the verdict as one line.

    Args:
        rows: The steps.
        strict: True if a step that was not done stops the change.
    """
    ended = tuple(rows)
    stopping = [row.step.name for row in ended if row.outcome.stops(strict=strict)]
    open_ = [row.step.name for row in ended if row.outcome.state is StepState.NOT_DONE]
    words = f"gates RED: {', '.join(stopping)}" if stopping else "gates green"
    if not open_:
        return words
    ends = "which stops the pipeline" if strict else "which would stop the pipeline"
    return f"{words}; not done, {ends}: {', '.join(open_)}"
