"""Export the review: JSON, SARIF for code scanning, Markdown for a pull request comment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from slipway.cli import output
from slipway.review.comparison import Fate
from slipway.review.findings import KINDS, ChangeFinding, Severity
from slipway.review.grouping import FindingGroup, group
from slipway.review.outcome import ReviewOutcome, ReviewState, as_json, paragraph, summary
from slipway.sarif import sarif_location, sarif_log

_LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "none",
}
_SECURITY: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "7.5",
    Severity.MEDIUM: "5.0",
    Severity.LOW: "2.0",
    Severity.INFO: "0.0",
}
"""Score by which code scanning sorts results (`security-severity`):
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning"""

FAULT: Final = "review-fault"
"""Rule under which SARIF, whose results all need a rule, lists why a review cannot be trusted."""

_MARKER: Final = "<!-- slipway-review -->"
"""Marker by which a later run finds the comment to replace."""

_LONGEST_COMMENT: Final = 60_000
"""GitHub's limit for a comment is 65,536 characters."""

_LOUD: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM)
_SHOWN_DETAILS, _SHOWN_PLACES = 6, 8


def write_json(outcome: ReviewOutcome, path: Path) -> None:
    """Write the whole review as JSON; its folder is created if necessary."""
    output.write(as_json(outcome), path)


def write_sarif(outcome: ReviewOutcome, path: Path, *, at: str) -> None:
    """Write SARIF 2.1.0; its folder is created if necessary.

    Args:
        outcome: The review.
        path: The file.
        at: File of the repository that results are attached to.
    """
    _write(path, json.dumps(as_sarif(outcome, at=at), indent=2, ensure_ascii=False))


def write_markdown(outcome: ReviewOutcome, path: Path) -> None:
    """Write the comment for a pull request; its folder is created if necessary."""
    _write(path, as_markdown(outcome))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def as_sarif(outcome: ReviewOutcome, *, at: str) -> dict[str, Any]:
    """Return SARIF 2.1.0: one run, a result for each finding; a waived finding is suppressed, with its reason.

    CDK names no line of code for a resource. So a result's physical location is the file that says what is synthesised,
    and its logical location is the construct.

    Args:
        outcome: The review.
        at: File of the repository that results are attached to.
    """
    waivers = {finding.id: waiver for finding, waiver in outcome.judgement.waived}
    results = [_result(finding, at, waivers.get(finding.id)) for finding in outcome.comparison.findings]
    results += [_fault(fault, at) for fault in outcome.faults]
    rules = [_rule(name) for name in sorted({result["ruleId"] for result in results})]
    return sarif_log(
        "slipway review", rules=rules, results=results, whole=not outcome.faults, exit_code=int(outcome.red)
    )


def _rule(name: str) -> dict[str, Any]:
    if name == FAULT:
        return {"id": name, "shortDescription": {"text": "The review cannot be trusted."}}
    kind = KINDS[name]
    return {
        "id": name,
        "shortDescription": {"text": f"{kind.why[:1].upper()}{kind.why[1:]}."},
        "help": {"text": f"{kind.do[:1].upper()}{kind.do[1:]}."},
        "defaultConfiguration": {"level": _LEVELS[kind.severity]},
        "properties": {"security-severity": _SECURITY[kind.severity]},
    }


def _result(finding: ChangeFinding, at: str, waiver: Any) -> dict[str, Any]:
    lines = [f"{finding.what}.", *finding.details, f"Why: {finding.why}.", f"Do: {finding.advice}."]
    result: dict[str, Any] = {
        "ruleId": finding.kind,
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(lines)},
        "locations": [sarif_location(at, name=finding.resource)],
        "partialFingerprints": {"slipwayFinding/v1": finding.id},
        "properties": {"severity": finding.severity.value, "stage": finding.stage, "stack": finding.stack},
    }
    if waiver is not None:
        reason = f"{waiver.reason} (owner: {waiver.owner}, until {waiver.expires.isoformat()})"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _fault(fault: str, at: str) -> dict[str, Any]:
    return {"ruleId": FAULT, "level": "error", "message": {"text": fault}, "locations": [sarif_location(at)]}


def as_markdown(outcome: ReviewOutcome) -> str:
    """Return the review as a pull request comment: the important part first, the rest folded."""
    parts = [_MARKER, f"### {_sign(outcome)} {summary(outcome)}", "", paragraph(outcome), ""]
    if outcome.faults:
        parts += [*(f"- :x: {_escaped(fault)}" for fault in outcome.faults), ""]
    if outcome.notes:
        parts += [*(f"- {_escaped(note)}" for note in outcome.notes), ""]
    waived = {finding.id for finding, _ in outcome.judgement.waived}
    groups = group(outcome.comparison.findings)
    loud = [each for each in groups if each.severity in _LOUD]
    quiet = [each for each in groups if each.severity not in _LOUD]
    parts += [line for each in loud for line in _told(each, waived)]
    if quiet:
        parts += ["<details>", f"<summary>{len(quiet)} more of low severity or for information</summary>", ""]
        parts += [line for each in quiet for line in _told(each, waived)]
        parts += ["</details>", ""]
    parts += _changes(outcome)
    return _fitting(parts)


def _fitting(parts: Sequence[str]) -> str:
    """Return as many lines as a comment allows, the summary first."""
    kept: list[str] = []
    length = 0
    for part in parts:
        length += len(part) + 1
        if length > _LONGEST_COMMENT:
            # Close open elements, so that the page around the comment stays intact.
            folded = sum(part == "<details>" for part in kept) - sum(part == "</details>" for part in kept)
            kept += ["</details>"] * folded + ["", "…and more: see the full report."]
            break
        kept.append(part)
    return "\n".join(kept).rstrip()


def _sign(outcome: ReviewOutcome) -> str:
    if outcome.state == ReviewState.NOT_REVIEWED and not outcome.red:
        return ":warning:"
    return ":x:" if outcome.red else ":white_check_mark:"


def _told(told: FindingGroup, waived: set[str]) -> Iterator[str]:
    first = told.first
    marks = " (waived)" if all(finding.id in waived for finding in told.findings) else ""
    whats = list(dict.fromkeys(finding.what for finding in told.findings if finding.resource == first.resource))
    more_of_it = f" (and {len(whats) - 1} more like it)" if len(whats) > 1 else ""
    yield f"**{told.severity.value}**{marks} {_escaped(first.what)}{more_of_it}  "
    places = [_code(f"{first.resource}"), *map(_code, told.others[:_SHOWN_PLACES])]
    more = len(told.others) - _SHOWN_PLACES
    yield f"{', '.join(places)}{f' and {more} more' if more > 0 else ''}  "
    for line in first.details[:_SHOWN_DETAILS]:
        yield f"- {_code(line)}"
    if len(first.details) > _SHOWN_DETAILS:
        yield f"- … {len(first.details) - _SHOWN_DETAILS} more"
    yield ""
    yield f"{_escaped(first.why)}; **do:** {_escaped(first.advice)}  "
    yield f"<sub>{_code(first.id)}</sub>"
    yield ""


def _changes(outcome: ReviewOutcome) -> Iterator[str]:
    stages = [stage for stage in outcome.comparison.stages if stage.stacks]
    if not stages:
        return
    fates = list(Fate)
    yield "<details>"
    yield f"<summary>What changes, stack by stack ({outcome.comparison.code})</summary>"
    yield ""
    yield "| stage | stack | " + " | ".join(fate.value for fate in fates) + " |"
    yield "|---|---|" + "---:|" * len(fates)
    for stage in stages:
        for stack in stage.stacks:
            counts = (sum(change.fate == fate for change in stack.changes) for fate in fates)
            name = _escaped(stack.name) + (f" ({stack.fate.value})" if stack.fate else "")
            yield f"| {_escaped(stage.name)} | {name} | " + " | ".join(str(one or "") for one in counts) + " |"
    yield ""
    yield "</details>"
    yield ""


def _escaped(text: str) -> str:
    """Return text escaped for Markdown and HTML."""
    for sign in "\\`*_[]<>|~":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return " ".join(text.split())


def _code(text: str) -> str:
    text = " ".join(text.split())
    fence = "``" if "`" in text else "`"
    return f"{fence}{' ' if fence != '`' else ''}{text}{' ' if fence != '`' else ''}{fence}"
