"""The outcome of a review: what was compared, the findings, the waivers' effect, and the verdict."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from slipway.review.comparison import Comparison, Fate, StageChanges
from slipway.review.findings import ChangeFinding, Severity
from slipway.review.grouping import FindingGroup, group
from slipway.review.waivers import Judgement

FORMAT = 1
"""Version of `review.json`, which increases with incompatible changes."""

NOTHING = Comparison()
NO_JUDGEMENT = Judgement(stopping=(), waived=(), problems=(), spent=())

_NAMED = 3


class ReviewState(StrEnum):
    """How far a review got."""

    REVIEWED = "reviewed"
    FIRST = "first delivery"
    """First delivery: there is nothing to compare with, everything is added, and nothing is judged."""
    NOT_REVIEWED = "not reviewed"


@dataclass(frozen=True, kw_only=True)
class ReviewOutcome:
    """Outcome of a review.

    Args:
        state: How far it came.
        base: Label of the deployed side.
        head: Label of the new side.
        comparison: Effects of the change.
        judgement: Effect of the waivers.
        problems: Reasons why the review failed or cannot be trusted.
        notes: Additional notes.
        allowed: True if a missing review may pass, because the configuration allows it or another one follows.
    """

    state: ReviewState
    base: str = ""
    head: str = ""
    comparison: Comparison = NOTHING
    judgement: Judgement = NO_JUDGEMENT
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    allowed: bool = False

    @property
    def red(self) -> bool:
        """Return True if the change must stop."""
        not_made = self.state == ReviewState.NOT_REVIEWED and not self.allowed
        return not_made or bool(self.problems) or self.judgement.red

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that is wrong apart from findings."""
        return (*self.problems, *self.judgement.problems)


def summary(outcome: ReviewOutcome) -> str:
    """Return the verdict as one line."""
    if outcome.state == ReviewState.NOT_REVIEWED:
        return f"change review {'RED' if outcome.red else 'not made'}: {'; '.join((*outcome.faults, *outcome.notes))}"
    word = "RED" if outcome.red else "green"
    if outcome.state == ReviewState.FIRST:
        return f"change review {word}: the first delivery, everything is added ({_counted(outcome.comparison)})"
    parts = [_severities(outcome.comparison.findings)]
    if outcome.judgement.waived:
        parts.append(f"{len(outcome.judgement.waived)} waived")
    if outcome.faults:
        parts.append(_number(len(outcome.faults), "fault"))
    stopping = [finding.id for finding in outcome.judgement.stopping]
    named = f"; stopped by {', '.join(stopping[:_NAMED])}" if stopping else ""
    more = f" and {len(stopping) - _NAMED} more" if len(stopping) > _NAMED else ""
    return f"change review {word}: {', '.join(parts)}; {_counted(outcome.comparison)}{named}{more}"


def paragraph(outcome: ReviewOutcome) -> str:
    """Return the review as a paragraph of plain text, for approvers."""
    if outcome.state == ReviewState.NOT_REVIEWED:
        return f"The change was not reviewed: {'; '.join((*outcome.faults, *outcome.notes))}."
    comparison = outcome.comparison
    if outcome.state == ReviewState.FIRST:
        return f"The first delivery: nothing is deployed yet, and everything is added ({_counted(comparison)})."
    if comparison.is_empty:
        return f"Against {outcome.base} nothing changes."
    touched = [stage.name for stage in comparison.stages if stage.stacks]
    sentences = [
        f"Against {outcome.base}: {_counted(comparison)}"
        + (f", in {_enumerated(touched)}" if touched else "")
        + f"; {comparison.code}."
    ]
    if comparison.findings:
        named = [f"{each.what} ({each.first.resource})" for each in _grave(comparison.findings)[:_NAMED]]
        sentences.append(f"Found: {_severities(comparison.findings)}.")
        if named:
            sentences.append(f"Above all: {'; '.join(named)}.")
    else:
        sentences.append("Nothing was found that loses data, widens access or weakens monitoring.")
    if waived := outcome.judgement.waived:
        reasons = dict.fromkeys(waiver.reason.rstrip(".") for _, waiver in waived)
        sentences.append(f"Waived: {_number(len(waived), 'finding')} ({'; '.join(reasons)}).")
    if outcome.red:
        sentences.append("It must not continue unchanged.")
    return " ".join(sentences)


def as_json(outcome: ReviewOutcome) -> dict[str, Any]:
    """Return the outcome as `review.json` contains it."""
    comparison, judgement = outcome.comparison, outcome.judgement
    waived = {finding.id: waiver for finding, waiver in judgement.waived}
    return {
        "format": FORMAT,
        "verdict": "red" if outcome.red else "not made" if outcome.state == ReviewState.NOT_REVIEWED else "green",
        "state": outcome.state.value,
        "base": outcome.base,
        "head": outcome.head,
        "summary": summary(outcome),
        "paragraph": paragraph(outcome),
        "faults": list(outcome.faults),
        "notes": list(outcome.notes),
        "code": {
            "functions": comparison.code.functions,
            "layers": comparison.code.layers,
            "others": comparison.code.others,
            "versions": comparison.code.versions,
        },
        "findings": [_finding(finding, waived) for finding in comparison.findings],
        "groups": [[finding.id for finding in each.findings] for each in group(comparison.findings)],
        "spent_waivers": list(judgement.spent),
        "stages": [_stage(stage) for stage in comparison.stages],
    }


def _finding(finding: ChangeFinding, waived: dict[str, Any]) -> dict[str, Any]:
    waiver = waived.get(finding.id)
    return {
        "id": finding.id,
        "kind": finding.kind,
        "severity": finding.severity.value,
        "stage": finding.stage,
        "stack": finding.stack,
        "resource": finding.resource,
        "what": finding.what,
        "details": list(finding.details),
        "why": finding.why,
        "do": finding.advice,
        "waiver": waiver and {"reason": waiver.reason, "owner": waiver.owner, "expires": waiver.expires.isoformat()},
    }


def _stage(stage: StageChanges) -> dict[str, Any]:
    return {
        "name": stage.name,
        "stacks": [
            {
                "name": stack.name,
                "account": stack.account,
                "region": stack.region,
                "fate": stack.fate and stack.fate.value,
                "changes": [
                    {
                        "fate": change.fate.value,
                        "resource": change.resource,
                        "type": change.type,
                        "properties": list(change.properties),
                        "causes": list(change.causes),
                    }
                    for change in stack.changes
                ],
            }
            for stack in stage.stacks
        ],
    }


def _grave(findings: tuple[ChangeFinding, ...]) -> list[FindingGroup]:
    return [each for each in group(findings) if each.severity in {Severity.CRITICAL, Severity.HIGH}]


def _severities(findings: tuple[ChangeFinding, ...]) -> str:
    groups = group(findings)
    counts = Counter(each.severity for each in groups)
    told = ", ".join(f"{counts[severity]} {severity}" for severity in Severity if counts[severity]) or "no finding"
    # Equal changes in several stages or functions are reported once.
    return told + (f" (in {len(findings)} places)" if len(findings) > len(groups) else "")


def _counted(comparison: Comparison) -> str:
    parts = [
        f"{number} {'possibly replaced' if fate == Fate.MAY_BE_REPLACED else fate}"
        for fate in Fate
        if (number := comparison.count(fate))
    ]
    return f"{', '.join(parts)} resources" if parts else "no resource changes"


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _enumerated(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
