"""Findings of an attack, for people, for code scanning (SARIF), and for CodeBuild (JUnit)."""

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
    """Level of a finding. The values are SARIF's."""

    ERROR = "error"
    """The finding fails the step."""
    WARNING = "warning"
    """The finding is only reported: it may break a client, but it gives no access and does no damage."""


@dataclass(frozen=True)
class AttackRule:
    """A kind of finding.

    Attributes:
        level: Its level.
        severity: The score by which code scanning sorts it, `security-severity`.
        says: Description of the fault.
        do: How to fix it.
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
        "An answer reveals internals of the service.",
        "Answer with a problem document, and log the details.",
    ),
    "not_a_server_error": AttackRule(
        AttackLevel.ERROR, "7.0", "A request makes the service fail.", "Refuse what cannot be processed with a 4xx."
    ),
    "negative_data_rejection": AttackRule(
        AttackLevel.WARNING,
        "5.0",
        "A request that the document rules out is accepted.",
        "Validate the request, or allow it in the document.",
    ),
    "use_after_free": AttackRule(
        AttackLevel.WARNING, "5.0", "A deleted resource is still returned.", "Check the deletion and the caches."
    ),
}
_CONFORMANCE = AttackRule(
    AttackLevel.WARNING,
    "2.0",
    "An answer is not one that the document describes.",
    "Describe the answer in the document, or change it.",
)


@dataclass(frozen=True)
class AttackFinding:
    """One kind of fault of one operation.

    Attributes:
        rule: A key of `RULES`, or a check of schemathesis.
        method: HTTP method.
        path: Path of the operation, as in the document.
        message: What is wrong.
        request: The first request that showed it.
        body: Body of that request.
        times: Number of requests that showed it.
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
        """Its kind."""
        return RULES.get(self.rule, _CONFORMANCE)

    def __str__(self) -> str:
        """Return the finding in one line."""
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
        findings: Findings of one service.
        file: The document's path in the repository.
        text: The document.
        whole: True if all operations were attacked.
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
    """Return JUnit XML with one case per operation. Serious findings fail the case; the others are in its output.

    Args:
        service: Its name.
        operations: The attacked operations, such as `GET /items`.
        findings: Findings of the service.
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
    """Yield each level of an operation's findings, with the findings of that level as plain text."""
    for level in AttackLevel:
        found = [str(each) for each in findings if each.operation == operation and each.kind.level is level]
        if found:
            yield level, "".join(sign for sign in "\n".join(found) if sign.isprintable() or sign == "\n")
