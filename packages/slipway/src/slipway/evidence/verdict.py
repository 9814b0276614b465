"""The verdict: green only where every part was there, was made for this assembly, and is green itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from slipway.evidence.reports import Read, Report, Review, Supply


class State(StrEnum):
    """How a part stands, or the whole."""

    GREEN = "green"
    INCOMPLETE = "incomplete"
    """Something was not run, or was run for another assembly."""
    RED = "red"


@dataclass(frozen=True)
class Part:
    """One section of the page."""

    anchor: str
    title: str
    state: State
    summary: str
    """One line."""
    problems: tuple[str, ...] = ()
    """Why it is not green, a line each."""


def overall(parts: Iterable[Part]) -> State:
    """Red if a part is, else incomplete if a part is, else green."""
    states = {part.state for part in parts}
    return next((state for state in (State.RED, State.INCOMPLETE) if state in states), State.GREEN)


def headline(parts: Iterable[Part]) -> str:
    """The verdict in one line, with the parts that decide it."""
    parts = tuple(parts)
    state = overall(parts)
    if state is State.GREEN:
        return f"evidence green: all {len(parts)} parts are there and green"
    named = ", ".join(f"{part.title} {part.state}" for part in parts if part.state is not State.GREEN)
    word = "RED" if state is State.RED else state.value
    return f"evidence {word}: {named}"


def claims(anchor: str, title: str, summary: str, problems: tuple[str, ...]) -> Part:
    """A part that claims something: red when a claim does not hold."""
    return Part(anchor, title, State.RED if problems else State.GREEN, summary, problems)


def plain(summary: str) -> str:
    """A gate's own last line without its name and verdict, which stand beside it here."""
    return summary.partition(": ")[2] or summary


def review_part(report: Report[Review]) -> Part:
    """The change review.

    A review that was not made, as where the configuration lets it be, leaves the page incomplete.
    """
    anchor, title = "review", "Change review"
    review = report.content
    if report.read is not Read.WHOLE or review is None:
        return _unusable(anchor, title, report.read, report.message)
    state = {"green": State.GREEN, "red": State.RED, "not made": State.INCOMPLETE}[review.verdict]
    stopping = tuple(
        f"critical and not waived: {finding.what} ({finding.resource})"
        for finding in review.findings
        if finding.severity == "critical" and finding.waiver is None
    )
    if stopping:
        state = State.RED
    problems = () if state is State.GREEN else (*stopping, *review.faults, *review.notes)
    return Part(anchor, title, state, plain(review.summary), problems)


def supply_part(report: Report[Supply]) -> Part:
    """The supply chain. A scanner that could not look leaves the page incomplete."""
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
    state = State.INCOMPLETE if not_done else State.GREEN
    if supply.verdict == "red" or failed:
        state = State.RED
    passed = sum(step.state == "passed" for step in supply.steps)
    accepted = sum(len(step.accepted) for step in supply.steps)
    summary = f"{passed} of {len(supply.steps)} scanners passed, {accepted} accepted findings"
    return Part(anchor, title, state, summary, (*failed, *not_done))


def _unusable(anchor: str, title: str, read: Read, message: str) -> Part:
    state = State.RED if read is Read.DAMAGED else State.INCOMPLETE
    return Part(anchor, title, state, read.value, (message,))
