"""What an attack found, for people, for code scanning (SARIF), and for CodeBuild (JUnit)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree as ET

from slipway.sarif import sarif_location, sarif_log

DOOR = "open-door"
"""Rule of an operation that lets in a caller without credentials."""


class AttackLevel(StrEnum):
    """How much a finding counts. The values are SARIF's own."""

    ERROR = "error"
    """It fails the step."""
    WARNING = "warning"
    """It is reported: a client may stumble over it, but nobody gets in or breaks anything by it."""


@dataclass(frozen=True)
class AttackRule:
    """A kind of finding.

    Attributes:
        level: How much it counts.
        severity: By what code scanning orders it, `security-severity`.
        says: What is wrong.
        do: What to do.
    """

    level: AttackLevel
    severity: str
    says: str
    do: str


RULES: Final = {
    DOOR: AttackRule(
        AttackLevel.ERROR,
        "9.5",
        "An operation that the document restricts answers a caller without valid credentials.",
        "Give the route its authorizer.",
    ),
    "no_leak": AttackRule(
        AttackLevel.ERROR,
        "7.5",
        "An answer holds what belongs to the inside of the service.",
        "Answer with a problem that names the request, and log the rest.",
    ),
    "not_a_server_error": AttackRule(
        AttackLevel.ERROR, "7.0", "A request makes the service fail.", "Refuse what cannot be processed with a 4xx."
    ),
    "negative_data_rejection": AttackRule(
        AttackLevel.WARNING,
        "5.0",
        "A request that the document rules out is accepted.",
        "Validate it, or let the document allow it.",
    ),
    "use_after_free": AttackRule(
        AttackLevel.WARNING, "5.0", "What was deleted is still answered.", "Check deletion, and what caches it."
    ),
}
_CONFORMANCE = AttackRule(
    AttackLevel.WARNING, "2.0", "An answer is not one that the document describes.", "Describe it, or answer otherwise."
)


@dataclass(frozen=True)
class AttackFinding:
    """One kind of fault of one operation.

    Attributes:
        rule: A key of `RULES`, or a check of schemathesis.
        method: Of the request.
        path: Of the operation, as the document writes it.
        message: What was wrong.
        request: What was sent first that showed it.
        body: The request's.
        times: How many requests showed it.
    """

    rule: str
    method: str
    path: str
    message: str
    request: str = ""
    body: str = ""
    times: int = 1

    @property
    def operation(self) -> str:
        """The operation, such as `GET /items`."""
        return f"{self.method} {self.path}"

    @property
    def kind(self) -> AttackRule:
        """What kind it is."""
        return RULES.get(self.rule, _CONFORMANCE)

    def __str__(self) -> str:
        """Return it in one line."""
        times = f", {self.times} times" if self.times > 1 else ""
        return f"{self.kind.level}: {self.operation}: {self.rule}: {' '.join(self.message.split())}{times}"


def merged(findings: Iterable[AttackFinding]) -> list[AttackFinding]:
    """Return one finding for each rule and operation, the first of its kind, the worst rules first."""
    found: dict[tuple[str, str], AttackFinding] = {}
    for finding in findings:
        key = (finding.rule, finding.operation)
        known = found.get(key)
        found[key] = replace(known, times=known.times + finding.times) if known else finding
    return sorted(found.values(), key=lambda each: (-float(each.kind.severity), each.operation))


def serious(findings: Iterable[AttackFinding]) -> bool:
    """Return True if one of the findings fails the step."""
    return any(finding.kind.level is AttackLevel.ERROR for finding in findings)


def as_sarif(findings: Sequence[AttackFinding], *, file: str, text: str, whole: bool) -> dict[str, Any]:
    """Return findings as SARIF 2.1.0, each at the line of the document that describes its path.

    Args:
        findings: Of one service.
        file: The document, as the repository names it.
        text: The document.
        whole: Whether all operations were attacked.
    """
    lines = text.splitlines()
    results = [
        {
            "ruleId": each.rule,
            "level": each.kind.level.value,
            "message": {"text": "\n".join(filter(None, (each.message, f"Request: {each.request}", each.body)))},
            "locations": [
                sarif_location(file, line=_line_of(each.path, lines), name=each.operation, kind="member"),
            ],
            "partialFingerprints": {"slipwayAttack/v1": f"{each.rule}:{each.operation}"},
            "properties": {"times": each.times},
        }
        for each in findings
    ]
    rules = [_sarif_rule(name, kind) for name, kind in sorted({each.rule: each.kind for each in findings}.items())]
    return sarif_log("slipway attack", rules=rules, results=results, whole=whole, exit_code=int(serious(findings)))


def _sarif_rule(name: str, kind: AttackRule) -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": kind.says},
        "help": {"text": kind.do},
        "defaultConfiguration": {"level": kind.level.value},
        "properties": {"security-severity": kind.severity},
    }


def _line_of(path: str, lines: Sequence[str]) -> int:
    key = f"{json.dumps(path)}:"
    return next((number for number, line in enumerate(lines, start=1) if line.strip().startswith(key)), 1)


def as_junit(service: str, operations: Iterable[str], findings: Sequence[AttackFinding]) -> str:
    """Return JUnit's XML: a case for each operation; serious findings fail it, the others are in its output.

    Args:
        service: Its name.
        operations: Those that were attacked, such as `GET /items`.
        findings: What was found.
    """
    cases = sorted({*operations, *(each.operation for each in findings)})
    suite = ET.Element("testsuite", name=f"attack on {service}", tests=str(len(cases)))
    for operation in cases:
        case = ET.SubElement(suite, "testcase", classname=f"attack.{service}", name=operation, time="0")
        for level, text in _texts(findings, operation):
            if level is AttackLevel.ERROR:
                ET.SubElement(case, "failure", message=text)
            else:
                ET.SubElement(case, "system-out").text = text
    suite.set("failures", str(len(suite.findall("testcase/failure/.."))))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _texts(findings: Iterable[AttackFinding], operation: str) -> Iterator[tuple[AttackLevel, str]]:
    """Yield each level that an operation's findings have, with those findings as plain text."""
    for level in AttackLevel:
        found = [str(each) for each in findings if each.operation == operation and each.kind.level is level]
        if found:
            yield level, "".join(sign for sign in "\n".join(found) if sign.isprintable() or sign == "\n")
