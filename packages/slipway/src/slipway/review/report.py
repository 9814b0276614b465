"""The review on the terminal, and as one self-contained page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.review.comparison import Fate, StageChanges
from slipway.review.findings import Severity
from slipway.review.grouping import FindingGroup, group
from slipway.review.outcome import ReviewOutcome, ReviewState, paragraph, summary

_COLOURS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "default",
    Severity.INFO: "dim",
}
_QUIET = frozenset({Severity.INFO})
_SHOWN_PROPERTIES = 6
_SHOWN_DETAILS = 4
_SHOWN_PLACES = 6


def print_review(outcome: ReviewOutcome, console: Console) -> None:
    """Print the changes by stage, the findings, and the verdict last.

    Args:
        outcome: The review.
        console: The console to print to.
    """
    for line in _heading(outcome):
        console.print(escape(line), soft_wrap=True)
    if any(stage.stacks for stage in outcome.comparison.stages):
        console.print(_stages_table(outcome.comparison.stages))
    waived = {finding.id for finding, _ in outcome.judgement.waived}
    groups = group(outcome.comparison.findings)
    loud = [each for each in groups if each.severity not in _QUIET]
    quiet = len(groups) - len(loud)
    if loud:
        console.print(_findings_table(loud, waived))
    if quiet:
        console.print(f"and {quiet} more for information", style="dim", soft_wrap=True)
    if outcome.judgement.waived:
        console.print(_waived_table(outcome))
    for identifier in outcome.judgement.spent:
        text = f"spent waiver: {identifier} was for a change that the base already contains; delete it"
        console.print(escape(text), style="yellow", soft_wrap=True)
    for note in outcome.notes:
        console.print(escape(note), style="yellow", soft_wrap=True)
    for fault in outcome.faults:
        console.print(f"[red]red[/red] {escape(fault)}", soft_wrap=True)
    colour = "red" if outcome.red else "yellow" if outcome.state == ReviewState.NOT_REVIEWED else "green"
    console.print(f"[{colour}]{escape(summary(outcome))}[/]", soft_wrap=True)


def write_page(outcome: ReviewOutcome, path: Path) -> None:
    """Write the page; it needs no network and no other file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(outcome), encoding="utf-8")


def page(outcome: ReviewOutcome) -> str:
    """Return the review as an HTML page."""
    environment = Environment(
        loader=PackageLoader("slipway.review"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("review.html.j2").render(
        outcome=outcome,
        summary=summary(outcome),
        paragraph=paragraph(outcome),
        waivers={finding.id: waiver for finding, waiver in outcome.judgement.waived},
        groups=group(outcome.comparison.findings),
        severities=list(Severity),
        fates=list(Fate),
        properties=_properties,
    )


def _heading(outcome: ReviewOutcome) -> list[str]:
    if outcome.state == ReviewState.NOT_REVIEWED:
        return []
    return [f"{outcome.base or 'nothing'} → {outcome.head}", str(outcome.comparison.code)]


def _stages_table(stages: Iterable[StageChanges]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="changes", title_justify="left", title_style="bold")
    table.add_column("stage", no_wrap=True)
    table.add_column("stack", overflow="fold")
    for fate in Fate:
        table.add_column(fate.value, justify="right")
    for stage in stages:
        for stack in stage.stacks:
            counts = [sum(change.fate == fate for change in stack.changes) for fate in Fate]
            name = stack.name + (f" ({stack.fate.value})" if stack.fate else "")
            table.add_row(escape(stage.name), escape(name), *(str(count) if count else "" for count in counts))
    return table


def _findings_table(groups: Sequence[FindingGroup], waived: set[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="findings", title_justify="left", title_style="bold")
    table.add_column("severity", no_wrap=True)
    table.add_column("finding", overflow="fold", ratio=2)
    table.add_column("what, why, what to do", overflow="fold", ratio=3)
    for each in groups:
        finding = each.first
        mark = " (waived)" if all(one.id in waived for one in each.findings) else ""
        lines = [finding.what, *_shortened(finding.details, _SHOWN_DETAILS)]
        lines += [f"why: {finding.why}", f"→ {finding.advice}"]
        ids = [one.id for one in each.findings]
        colour = _COLOURS[each.severity]
        table.add_row(
            f"[{colour}]{each.severity}{mark}[/]",
            "\n".join(map(escape, _shortened(ids, _SHOWN_PLACES))),
            "\n".join(map(escape, lines)),
        )
    return table


def _shortened(lines: Sequence[str], most: int) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], *([f"… {more} more"] if more > 0 else [])]


def _waived_table(outcome: ReviewOutcome) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="waived", title_justify="left", title_style="bold")
    for name in ("finding", "reason", "owner", "expires"):
        table.add_column(name, overflow="fold")
    for finding, waiver in outcome.judgement.waived:
        table.add_row(escape(finding.id), escape(waiver.reason), escape(waiver.owner), waiver.expires.isoformat())
    return table


def _properties(names: Sequence[str]) -> str:
    """Return the properties that change, shortened."""
    more = len(names) - _SHOWN_PROPERTIES
    return ", ".join(names[:_SHOWN_PROPERTIES]) + (f" and {more} more" if more > 0 else "")
