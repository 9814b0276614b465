"""Export the verdict: JSON, SARIF for code scanning, JUnit for a build's test reports."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from slipway.nag.page import write_page
from slipway.nag.terminal import summary
from slipway.nag.verdict import Acknowledgement, RuleFinding, RuleSeverity, Verdict

FAULT = "Gate-Fault"
CAUTION = "Gate-Caution"
"""Rules under which rule-based formats list errors and warnings about the report itself."""

_SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HOMEPAGE = "https://github.com/cdklabs/cdk-nag"
# Characters that XML 1.0 does not allow, even escaped.
_NOT_XML = {code: None for code in range(0x20) if chr(code) not in "\t\n\r"}


def write_all(verdict: Verdict, folder: Path) -> None:
    """Write the verdict in every format: `nag.html`, `nag.json`, `nag.sarif` and `nag.xml`.

    Args:
        verdict: Result of `judge`.
        folder: The folder, which is created if necessary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_page(verdict, folder / "nag.html")
    for name, content in (("nag.json", as_json(verdict)), ("nag.sarif", as_sarif(verdict))):
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "nag.xml").write_text(as_junit(verdict), encoding="utf-8")


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return everything in the verdict as plain data."""
    return {
        "verdict": "red" if verdict.red else "green",
        "summary": summary(verdict),
        "stacks": {stack: list(verdict.judged[stack]) for stack in verdict.stacks},
        "findings": [
            {
                "stack": one.stack,
                "construct": one.path,
                "pack": one.pack,
                "rule": one.rule,
                "severity": one.severity.value,
                "description": one.description,
                "advice": one.advice,
            }
            for one in verdict.findings
        ],
        "faults": [{"place": one.place, "message": one.message} for one in verdict.faults],
        "warnings": [{"place": one.place, "message": one.message} for one in verdict.cautions],
        "acknowledged": [
            {
                "stack": one.stack,
                "construct": one.path,
                "pack": one.pack,
                "rule": one.rule,
                "reason": one.reason,
                "owner": one.owner,
                "expires": one.expires.isoformat(),
                "at": one.at,
            }
            for one in verdict.acknowledgements
        ],
        "counts": verdict.counts,
    }


def as_sarif(verdict: Verdict) -> dict[str, Any]:
    """Return SARIF 2.1.0: one run; an acknowledged finding is a suppressed result with its reason.

    A finding's location is its stack's template in the assembly, since CDK provides no line of code; an
    acknowledgement's location is its line of code.
    """
    results = list(_sarif_results(verdict))
    texts = {result["ruleId"]: result["message"]["text"] for result in reversed(results)}
    rules = [{"id": rule, "shortDescription": {"text": texts[rule]}} for rule in sorted(texts)]
    index = {rule["id"]: place for place, rule in enumerate(rules)}
    return {
        "$schema": _SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "cdk-nag gate", "informationUri": _HOMEPAGE, "rules": rules}},
                "invocations": [{"executionSuccessful": not verdict.faults, "exitCode": int(verdict.red)}],
                "columnKind": "unicodeCodePoints",
                "results": [result | {"ruleIndex": index[result["ruleId"]]} for result in results],
            }
        ],
    }


def _sarif_results(verdict: Verdict) -> Iterator[dict[str, Any]]:
    for finding in verdict.findings:
        level = "warning" if finding.severity is RuleSeverity.WARNING else "error"
        message = f"{finding.description} {finding.advice}"
        yield _sarif_result(finding.rule, level, message, _physical(verdict, finding), finding.path)
    for one in verdict.acknowledgements:
        file, _, line = one.at.rpartition(":")
        suppression = {
            "kind": "inSource",
            "status": "accepted",
            "justification": f"{one.reason} (owner: {one.owner}; expires: {one.expires})",
            "location": {"physicalLocation": _line(file, line)},
        }
        yield _sarif_result(one.rule, "note", one.description, _physical(verdict, one), one.path) | {
            "suppressions": [suppression]
        }
    for rule, level, remarks in ((FAULT, "error", verdict.faults), (CAUTION, "warning", verdict.cautions)):
        for remark in remarks:
            file, _, line = remark.place.rpartition(":")
            place = _line(file, line) if line.isdigit() else _line(remark.place.replace(" ", "-"), "1")
            yield _sarif_result(rule, level, f"{remark.place}: {remark.message}", place, remark.place)


def _sarif_result(rule: str, level: str, text: str, place: dict[str, Any], construct: str) -> dict[str, Any]:
    return {
        "ruleId": rule.partition("[")[0],
        "level": level,
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": place,
                "logicalLocations": [{"fullyQualifiedName": construct or "app", "kind": "resource"}],
            }
        ],
        # Identifies the same result in the next run.
        "partialFingerprints": {"construct/v1": f"{rule}@{construct}"},
    }


def _physical(verdict: Verdict, one: RuleFinding | Acknowledgement) -> dict[str, Any]:
    template = verdict.templates.get(one.stack)
    return _line(f"cdk.out/{template}" if template else "cdk.out/manifest.json", "1")


def _line(file: str, line: str) -> dict[str, Any]:
    return {"artifactLocation": {"uri": file}, "region": {"startLine": max(1, int(line))}}


def as_junit(verdict: Verdict) -> str:
    """Return JUnit XML: one suite per stack, with a case for each passing pack and for each finding.

    Acknowledged findings are skipped, with their reason. Errors of the report itself are a separate suite, with one
    passing case without errors; its output contains the warnings.
    """
    root = ET.Element("testsuites", name="cdk-nag gate")
    findings: defaultdict[str, list[RuleFinding]] = defaultdict(list)
    accepted: defaultdict[str, list[Acknowledgement]] = defaultdict(list)
    for finding in verdict.findings:
        findings[finding.stack].append(finding)
    for one in verdict.acknowledgements:
        accepted[one.stack].append(one)
    for stack in sorted({*verdict.stacks, *findings, *accepted}):
        suite = ET.SubElement(root, "testsuite", name=stack or "app")
        for finding in findings[stack]:
            case = _case(suite, stack, f"{finding.rule} {finding.path}")
            text = f"{finding.description} → {finding.advice}"
            ET.SubElement(case, "failure", type=finding.severity.value, message=_plain(text)).text = _plain(text)
        for one in accepted[stack]:
            message = f"{one.reason} (owner: {one.owner}; expires: {one.expires}; at: {one.at})"
            ET.SubElement(_case(suite, stack, f"{one.rule} {one.path}"), "skipped", message=_plain(message))
        broken = {finding.pack for finding in findings[stack]}
        for pack in verdict.judged.get(stack, ()):
            if pack not in broken:
                _case(suite, stack, pack)
    suite = ET.SubElement(root, "testsuite", name="report")
    for fault in verdict.faults:
        case = _case(suite, "report", f"{fault.place}: {fault.message}")
        ET.SubElement(case, "error", type=FAULT, message=_plain(fault.message))
    if not verdict.faults:
        _case(suite, "report", "can be trusted")
    if verdict.cautions:
        lines = "\n".join(f"warning: {caution.place}: {caution.message}" for caution in verdict.cautions)
        ET.SubElement(suite, "system-out").text = _plain(lines)
    for suite in root:
        for attribute, tag in (("tests", "testcase"), ("failures", "*/failure"), ("errors", "*/error")):
            suite.set(attribute, str(len(suite.findall(tag))))
        suite.set("skipped", str(len(suite.findall("*/skipped"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, stack: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_plain(stack or "app"), name=_plain(name), time="0")


def _plain(text: str) -> str:
    return text.translate(_NOT_XML)
