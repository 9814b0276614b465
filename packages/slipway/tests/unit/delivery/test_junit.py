"""CodeBuild shows 500 cases of a report: failures come first, and left-out cases are counted."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from slipway.tasks.junit import CASES, condense


def _write(path: Path, passed: int, failed: int = 0, module: str = "tests.a") -> Path:
    suite = ET.Element("testsuite")
    for number in range(passed):
        ET.SubElement(suite, "testcase", classname=module, name=f"passes{number}", time="0.5")
    for number in range(failed):
        case = ET.SubElement(suite, "testcase", classname=module, name=f"fails{number}", time="0.5")
        ET.SubElement(case, "failure", message="it is so")
    path.write_bytes(ET.tostring(suite))
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "condensed" / "tests.xml"


def _read(target: Path) -> list[ET.Element]:
    return list(ET.parse(target).getroot().iter("testcase"))  # noqa: S314  # nosec B314  # the report under test


def _failed(cases: list[ET.Element]) -> list[str | None]:
    return [case.get("name") for case in cases if case.find("failure") is not None]


def test_few_cases_are_kept_as_they_are(tmp_path: Path, target: Path) -> None:
    reports = [_write(tmp_path / "a.xml", 2), _write(tmp_path / "b.xml", CASES - 3, 1)]
    assert condense(reports, target) == CASES
    assert len(_read(target)) == CASES


def test_passed_cases_are_grouped_by_module(tmp_path: Path, target: Path) -> None:
    reports = [_write(tmp_path / "a.xml", CASES), _write(tmp_path / "b.xml", 4, 2, module="tests.b")]
    assert condense(reports, target) == 4
    cases = _read(target)
    assert _failed(cases) == ["fails0", "fails1"]
    assert [(case.get("classname"), case.get("name"), case.get("time")) for case in cases[2:]] == [
        ("tests.a", f"{CASES} passed, 0 skipped", f"{CASES / 2:.3f}"),
        ("tests.b", "4 passed, 0 skipped", "2.000"),
    ]


def test_failures_beyond_the_limit_still_fail(tmp_path: Path, target: Path) -> None:
    assert condense([_write(tmp_path / "a.xml", 3, CASES + 10)], target) == CASES
    cases = _read(target)
    assert len(_failed(cases)) == CASES
    message = cases[-1].find("failure")
    assert message is not None
    assert message.get("message") == "12 more cases are in the log of the build"


def test_unreadable_reports_fail(tmp_path: Path, target: Path) -> None:
    (tmp_path / "a.xml").write_text("<testsuite><testcase", encoding="utf-8")
    assert condense([tmp_path / "a.xml"], target) == 1
    assert _failed(_read(target)) == ["a.xml"]


def test_missing_report_becomes_an_empty_one(target: Path) -> None:
    assert condense([], target) == 0
    assert _read(target) == []
