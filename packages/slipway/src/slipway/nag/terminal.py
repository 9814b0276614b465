"""The verdict on the terminal."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.nag.verdict import Acknowledgement, RuleFinding, RuleSeverity, Verdict

ELSEWHERE = "(above the stacks)"
"""Shown for a finding that belongs to no stack."""

SHOWN = 20
"""Maximum number of findings, warnings and faults to print; the details contain all of them."""

# Width if the output is not a terminal, such as a build's log: rich would use 80 columns.
_LOG_WIDTH = 140
_STANDARD_STREAMS = (0, 1, 2)
_COLOURS = {RuleSeverity.WARNING: "yellow"}
_Placed = TypeVar("_Placed", RuleFinding, Acknowledgement)


def print_report(verdict: Verdict, console: Console | None = None, *, details: str = "") -> None:
    """Print what must be fixed, by stack, and the verdict last, so that both fit on a screen.

    Args:
        verdict: Result of `judge`.
        console: Where to print. Default: standard error, which leaves standard output to the tool that runs the synth;
            coloured only on a terminal.
        details: File with everything, including acknowledged findings and their reasons, which is too long for a
            terminal. Default: none; then nothing is omitted.
    """
    console = console or terminal()
    most = SHOWN if details else None
    for stack, findings in by_stack(sorted(verdict.findings)[:most]).items():
        console.print(_findings_table(stack, findings))
    for caution in verdict.cautions[:most]:
        console.print(f"[yellow]warning[/yellow] {escape(caution.place)}: {escape(caution.message)}", soft_wrap=True)
    for fault in verdict.faults[:most]:
        console.print(f"[red]red[/red] {escape(fault.place)}: {escape(fault.message)}", soft_wrap=True)
    lengths = (len(verdict.findings), len(verdict.cautions), len(verdict.faults))
    if most is not None and (left := sum(max(length - most, 0) for length in lengths)):
        console.print(f"and {left} more: {escape(details)}", soft_wrap=True)
    if details and verdict.acknowledgements:
        console.print(f"acknowledged findings and their reasons: {escape(details)}", soft_wrap=True)
    console.print(f"[{'red' if verdict.red else 'green'}]{summary(verdict)}[/]", soft_wrap=True)


def terminal() -> Console:
    """Return standard error, coloured only on a terminal, and wide enough in a log."""
    return Console(
        stderr=True,
        highlight=False,
        width=None if any(map(os.isatty, _STANDARD_STREAMS)) else _LOG_WIDTH,
        # The CDK CLI sets FORCE_COLOR=0 if its output is not a terminal, but rich takes any value to mean colours.
        force_terminal=False if os.environ.get("FORCE_COLOR") == "0" else None,
    )


def by_stack(placed: Iterable[_Placed]) -> dict[str, list[_Placed]]:
    """Return the items grouped by their stack, in order."""
    groups: defaultdict[str, list[_Placed]] = defaultdict(list)
    for one in sorted(placed):
        groups[one.stack or ELSEWHERE].append(one)
    return dict(sorted(groups.items()))


def within(stack: str, path: str) -> str:
    """Return a construct's path relative to its stack."""
    return path.removeprefix(stack).removeprefix("/") or path


def summary(verdict: Verdict) -> str:
    """Return the verdict as one line."""
    word = "RED" if verdict.red else "green"
    counts = ", ".join(
        (
            _count(len(verdict.findings), "finding"),
            _count(len(verdict.faults), "fault"),
            *([_count(len(verdict.cautions), "warning")] if verdict.cautions else []),
            _count(len(verdict.acknowledgements), "acknowledged finding"),
        )
    )
    broken = list(dict.fromkeys(f"{finding.rule} at {finding.path}" for finding in verdict.findings))
    named = f": {', '.join(broken[:_NAMED])}" if broken else ""
    more = f" and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    stacks = _count(len(verdict.stacks), "stack")
    return f"nag gate {word}: {counts} in {stacks} by {', '.join(verdict.packs)}{named}{more}"


_NAMED = 3
"""Maximum number of findings that the verdict names."""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _findings_table(stack: str, findings: list[RuleFinding]) -> Table:
    table = Table(title=escape(stack), title_justify="left", title_style="bold", show_lines=False)
    table.add_column("rule", overflow="fold", max_width=44)
    table.add_column("severity", no_wrap=True)
    table.add_column("resource", overflow="fold")
    table.add_column("what to do", overflow="fold")
    for finding in findings:
        colour = _COLOURS.get(finding.severity, "red")
        table.add_row(
            escape(finding.rule),
            f"[{colour}]{finding.severity}[/]",
            escape(within(stack, finding.path)),
            escape(f"{finding.description} → {finding.advice}"),
        )
    return table
