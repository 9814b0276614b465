"""Judge the evidence: green only if every part is present, belongs to this assembly, and is green itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from slipway.evidence.reports import GateReport, Read, Review, Supply


class PartState(StrEnum):
    """State of a part, or of the whole."""

    GREEN = "green"
    INCOMPLETE = "incomplete"
    """Something was not run, or was run for a different assembly."""
    RED = "red"


@dataclass(frozen=True)
class Part:
    """One section of the page."""

    anchor: str
    title: str
    state: PartState
    summary: str
    """The result in one line."""
    problems: tuple[str, ...] = ()
    """Why it is not green, one line each."""


def overall(parts: Iterable[Part]) -> PartState:
    """Return red if any part is red, else incomplete if any is incomplete, else green."""
    states = {part.state for part in parts}
    return next((state for state in (PartState.RED, PartState.INCOMPLETE) if state in states), PartState.GREEN)


def headline(parts: Iterable[Part]) -> str:
    """Return the verdict as one line, with the parts that decide it."""
    parts = tuple(parts)
    state = overall(parts)
    if state is PartState.GREEN:
        return f"evidence green: all {len(parts)} parts are present and green"
    named = ", ".join(f"{part.title} {part.state}" for part in parts if part.state is not PartState.GREEN)
    word = "RED" if state is PartState.RED else state.value
    return f"evidence {word}: {named}"


def claims(anchor: str, title: str, summary: str, problems: tuple[str, ...]) -> Part:
    """Return a part of claims: red if a claim does not hold."""
    return Part(anchor, title, PartState.RED if problems else PartState.GREEN, summary, problems)


def plain(summary: str) -> str:
    """Return a gate's own last line without its name and verdict, which are displayed beside it."""
    return summary.partition(": ")[2] or summary


def review_part(report: GateReport[Review]) -> Part:
    """Return the part of the change review.

    A missing review leaves the page incomplete, even if the configuration allows it to be missing.
    """
    anchor, title = "review", "Change review"
    review = report.content
    if report.read is not Read.WHOLE or review is None:
        return _unusable(anchor, title, report.read, report.message)
    state = {"green": PartState.GREEN, "red": PartState.RED, "not made": PartState.INCOMPLETE}[review.verdict]
    stopping = tuple(
        f"critical and not waived: {finding.what} ({finding.resource})"
        for finding in review.findings
        if finding.severity == "critical" and finding.waiver is None
    )
    if stopping:
        state = PartState.RED
    problems = () if state is PartState.GREEN else (*stopping, *review.faults, *review.notes)
    return Part(anchor, title, state, plain(review.summary), problems)


def supply_part(report: GateReport[Supply]) -> Part:
    """Return the part of the supply chain. A scanner that could not run leaves the page incomplete."""
    anchor, title = "supply", "Supply chain"
    supply = report.content
    if report.read is not Read.WHOLE or supply is None:
        return _unusable(anchor, title, report.read, report.message)
    failed = tuple(f"{step.name} failed: {step.summary}" for step in supply.steps if step.state == "failed")
    not_done = tuple(
        f"{step.name} was not run: {step.summary.removeprefix('not done: ')}"
        for step in supply.steps
        if step.state == "not done"
    )
    state = PartState.INCOMPLETE if not_done else PartState.GREEN
    if supply.verdict == "red" or failed:
        state = PartState.RED
    passed = sum(step.state == "passed" for step in supply.steps)
    accepted = sum(len(step.accepted) for step in supply.steps)
    summary = f"{passed} of {len(supply.steps)} scanners passed, {accepted} accepted findings"
    return Part(anchor, title, state, summary, (*failed, *not_done))


def _unusable(anchor: str, title: str, read: Read, message: str) -> Part:
    state = PartState.RED if read is Read.DAMAGED else PartState.INCOMPLETE
    return Part(anchor, title, state, read.value, (message,))
