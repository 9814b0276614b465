"""Export the supply chain's results: `supply.json`, and JUnit XML for CodeBuild."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from slipway.gates.outcome import StepState
from slipway.gates.run import Ended
from slipway.supply.shipped import Zip

JSON_FILE = "supply.json"
JUNIT_FILE = "supply.xml"

# Characters that XML 1.0 does not allow, even escaped.
_NOT_XML = {code: None for code in range(0x20) if chr(code) not in "\t\n\r"}


def as_json(ended: Iterable[Ended], zips: Iterable[Zip], *, strict: bool) -> dict[str, Any]:
    """Return all results of the steps as plain data.

    Args:
        ended: The steps.
        zips: The built zips.
        strict: True if a step that was not done stops the change.
    """
    rows = tuple(ended)
    return {
        "verdict": "red" if any(row.outcome.stops(strict=strict) for row in rows) else "green",
        "not_done": [row.step.name for row in rows if row.outcome.state is StepState.NOT_DONE],
        "not_done_stops": strict,
        "zips": [
            {"name": f"{one.name}.zip", "sha256": one.sha256, "bytes": one.bytes, "ships": one.ships} for one in zips
        ],
        "steps": [{"name": row.step.name, "seconds": round(row.seconds, 1), **row.outcome.plain()} for row in rows],
    }


def as_junit(ended: Iterable[Ended], *, strict: bool) -> str:
    """Return JUnit XML: one suite per step, with a case for each finding and one for the step itself.

    An accepted finding is skipped, with its reason. A step that was not done is skipped too, or an error if that stops
    the change.

    Args:
        ended: The steps.
        strict: True if a step that was not done stops the change.
    """
    root = ET.Element("testsuites", name="supply chain")
    for row in ended:
        name, outcome = row.step.name, row.outcome
        suite = ET.SubElement(root, "testsuite", name=name)
        for finding in outcome.findings:
            case = _case(suite, name, f"{finding.rule} {finding.place}")
            ET.SubElement(case, "failure", type=finding.rule, message=_plain(finding.message))
        for one in outcome.accepted:
            by = f" (owner: {one.owner}; expires: {one.expires})" if one.owner else ""
            ET.SubElement(_case(suite, name, f"{one.rule} {one.place}"), "skipped", message=_plain(one.reason + by))
        if outcome.state is not StepState.FAILED:
            case = _case(suite, name, name)
            if outcome.state is StepState.NOT_DONE:
                ET.SubElement(case, "error" if strict else "skipped", message=_plain(outcome.summary))
        ET.SubElement(suite, "system-out").text = _plain("\n".join((outcome.summary, *outcome.notes)))
        for attribute, tag in (("tests", "testcase"), ("failures", "*/failure"), ("errors", "*/error")):
            suite.set(attribute, str(len(suite.findall(tag))))
        suite.set("skipped", str(len(suite.findall("*/skipped"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, step: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=step, name=_plain(name), time="0")


def _plain(text: str) -> str:
    return text.translate(_NOT_XML)


def write(ended: Iterable[Ended], zips: Iterable[Zip], *, strict: bool, json_file: Path, junit_file: Path) -> None:
    """Write both reports.

    Args:
        ended: The steps.
        zips: The built zips.
        strict: True if a step that was not done stops the change.
        json_file: File for all results.
        junit_file: File for the JUnit XML.
    """
    rows = tuple(ended)
    for path, text in (
        (json_file, json.dumps(as_json(rows, zips, strict=strict), indent=2, ensure_ascii=False) + "\n"),
        (junit_file, as_junit(rows, strict=strict)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
