"""Print the verdict of packs on an assembly, and export it for machines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.nag.anywhere import Ruling
from slipway.nag.given import AcceptedFinding
from slipway.nag.verdict import ReportFault, RuleFinding, RuleSeverity

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_COLOURS: Final = {RuleSeverity.WARNING: "yellow"}
_SHOWN_PLACES: Final = 8


def print_ruling(ruling: Ruling, console: Console, *, verb: str) -> None:
    """Print a row per broken rule with its places, and the verdict last.

    Args:
        ruling: Result of the packs.
        console: The console to print to.
        verb: Prefix of the verdict.
    """
    if ruling.findings:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("rule", "what", "where"):
            table.add_column(name, overflow="fold")
        for rule, findings in _by_rule(ruling.findings).items():
            first = findings[0]
            text = first.description + (f" → {first.advice}" if first.advice else "")
            places = list(dict.fromkeys(finding.path for finding in findings))
            more = len(places) - _SHOWN_PLACES
            lines = [*places[:_SHOWN_PLACES], *([f"… {more} more"] if more > 0 else [])]
            colour = _COLOURS.get(first.severity, "red")
            table.add_row(f"[{colour}]{escape(rule)}[/]", escape(text), "\n".join(map(escape, lines)))
        console.print(table)
    for note in ruling.notes:
        console.print(f"[yellow]not judged[/yellow] {escape(note.place)}: {escape(note.message)}", soft_wrap=True)
    for fault in ruling.faults:
        console.print(f"[red]fault[/red] {escape(fault.place)}: {escape(fault.message)}", soft_wrap=True)
    colour = "red" if ruling.exit_code() else "green"
    console.print(f"[{colour}]{escape(verdict_line(ruling, verb=verb))}[/]", soft_wrap=True)


def verdict_line(ruling: Ruling, *, verb: str) -> str:
    """Return the verdict in one line.

    Args:
        ruling: Result of the packs.
        verb: Prefix of the line.
    """
    word = {0: "green", 1: "RED", 2: "RED, and not to be trusted"}[ruling.exit_code()]
    counts = [
        _counted(len(ruling.findings), "finding"),
        _counted(len(ruling.accepted), "accepted finding"),
        *([_counted(len(ruling.notes), "rule not judged")] if ruling.notes else []),
        *([_counted(len(ruling.faults), "fault")] if ruling.faults else []),
    ]
    return f"{verb} {word}: {', '.join(counts)} in {_counted(len(ruling.stacks), 'stack')} by {', '.join(ruling.packs)}"


def ruling_as_json(ruling: Ruling, *, verb: str) -> dict[str, Any]:
    """Return a ruling as JSON data.

    Args:
        ruling: Result of the packs.
        verb: Prefix of the verdict.
    """
    return {
        "format": 1,
        "verdict": "red" if ruling.exit_code() else "green",
        "summary": verdict_line(ruling, verb=verb),
        "packs": list(ruling.packs),
        "stacks": list(ruling.stacks),
        "findings": [_finding(finding) for finding in ruling.findings],
        "accepted": [{**_finding(one.finding), "reason": one.reason} for one in ruling.accepted],
        "not_judged": [_fault(note) for note in ruling.notes],
        "faults": [_fault(fault) for fault in ruling.faults],
    }


def ruling_as_sarif(ruling: Ruling, *, verb: str, at: str) -> dict[str, Any]:
    """Return a ruling as SARIF 2.1.0; findings that the app accepts are suppressed results.

    Args:
        ruling: Result of the packs.
        verb: Name of the tool.
        at: File of the repository that results are attached to.
    """
    results = [_result(finding, at) for finding in ruling.findings]
    results += [_suppressed(one, at) for one in ruling.accepted]
    texts = {result["ruleId"]: result["message"]["text"] for result in reversed(results)}
    rules = [{"id": rule, "shortDescription": {"text": texts[rule]}} for rule in sorted(texts)]
    index = {rule["id"]: place for place, rule in enumerate(rules)}
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": verb, "rules": rules}},
                "invocations": [{"executionSuccessful": not ruling.faults, "exitCode": ruling.exit_code()}],
                "columnKind": "unicodeCodePoints",
                "results": [{**result, "ruleIndex": index[result["ruleId"]]} for result in results],
            }
        ],
    }


def _result(finding: RuleFinding, at: str) -> dict[str, Any]:
    return {
        "ruleId": finding.rule.partition("[")[0],
        "level": "warning" if finding.severity is RuleSeverity.WARNING else "error",
        "message": {"text": f"{finding.description} {finding.advice}".strip()},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": at}, "region": {"startLine": 1}},
                "logicalLocations": [{"fullyQualifiedName": finding.path, "kind": "resource"}],
            }
        ],
        # Identifies the same result in the next run.
        "partialFingerprints": {"construct/v1": f"{finding.rule}@{finding.path}"},
    }


def _suppressed(one: AcceptedFinding, at: str) -> dict[str, Any]:
    suppression = {"kind": "inSource", "status": "accepted", "justification": one.reason}
    return {**_result(one.finding, at), "level": "note", "suppressions": [suppression]}


def _finding(finding: RuleFinding) -> dict[str, Any]:
    return {
        "pack": finding.pack,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "stack": finding.stack,
        "construct": finding.path,
        "description": finding.description,
        "advice": finding.advice,
    }


def _fault(fault: ReportFault) -> dict[str, str]:
    return {"place": fault.place, "message": fault.message}


def _by_rule(findings: Iterable[RuleFinding]) -> dict[str, list[RuleFinding]]:
    """Return the findings by their rule, granular ones separately; the most frequent first."""
    groups: defaultdict[str, list[RuleFinding]] = defaultdict(list)
    for finding in findings:
        groups[finding.rule.partition("[")[0]].append(finding)
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    first, space, rest = noun.partition(" not ")
    return f"{number} {first}s{space}{rest}"
