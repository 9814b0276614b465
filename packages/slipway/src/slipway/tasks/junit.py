"""Condense the build's JUnit reports to what CodeBuild shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

CASES = 500
"""Maximum number of test cases per report; CodeBuild drops the rest, even failed ones.

https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
"""


def condense(reports: Iterable[Path], target: Path) -> int:
    """Combine JUnit reports into one that CodeBuild shows completely.

    If there are more than 500 cases, the passed ones are combined into one case per test module. Failed ones are kept
    unchanged, and come first.

    Args:
        reports: The reports. An unreadable one, such as that of a killed run, counts as a failed case.
        target: The file to write.

    Returns:
        The number of cases in it.
    """
    cases = [case for report in sorted(reports) for case in _cases(report)]
    if len(cases) > CASES:
        cases = _cut([*filter(_failed, cases), *_by_module([case for case in cases if not _failed(case)])])
    suite = ET.Element("testsuite", name="tests", tests=str(len(cases)), failures=str(sum(map(_failed, cases))))
    suite.extend(cases)
    target.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(suite).write(target, encoding="utf-8", xml_declaration=True)
    return len(cases)


def _cases(report: Path) -> list[ET.Element]:
    try:
        root = ET.parse(report).getroot()  # noqa: S314  # nosec B314  # a report that our own tests wrote
    except ET.ParseError as error:
        return [_failure(report.name, f"the report cannot be read: {error}")]
    return list(root.iter("testcase"))


def _failed(case: ET.Element) -> bool:
    return case.find("failure") is not None or case.find("error") is not None


def _by_module(cases: Iterable[ET.Element]) -> list[ET.Element]:
    """Return one case per module, with the total duration of its cases."""
    modules: defaultdict[str, list[ET.Element]] = defaultdict(list)
    for case in cases:
        modules[case.get("classname", "")].append(case)
    return [
        ET.Element(
            "testcase",
            classname=module,
            name=f"{len(of_module) - skipped} passed, {skipped} skipped",
            time=f"{sum(float(case.get('time', 0)) for case in of_module):.3f}",
        )
        for module, of_module in modules.items()
        for skipped in [sum(case.find("skipped") is not None for case in of_module)]
    ]


def _cut(cases: Sequence[ET.Element]) -> list[ET.Element]:
    """Return at most the maximum number of cases; the last one stands for the omitted ones, including failed ones."""
    if len(cases) <= CASES:
        return list(cases)
    kept, left = cases[: CASES - 1], cases[CASES - 1 :]
    says = f"{len(left)} more cases are in the log of the build"
    last = _failure("more", says) if any(map(_failed, left)) else ET.Element("testcase", classname="", name=says)
    return [*kept, last]


def _failure(name: str, message: str) -> ET.Element:
    case = ET.Element("testcase", classname="", name=name)
    ET.SubElement(case, "failure", message=message)
    return case
