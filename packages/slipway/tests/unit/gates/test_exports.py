"""The machine-readable verdicts match the one for people, in valid formats."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema_rs
import pytest

from slipway.nag.exports import CAUTION, FAULT, as_json, as_junit, as_sarif, write_all
from slipway.nag.names import everywhere
from slipway.nag.verdict import Verdict, judge
from unit.gates.assembly import AT, DATA, PACKS, REASON, Assembly, signed

pytestmark = pytest.mark.requirement("the report on the terminal and as a page")

TODAY = date(2027, 1, 1)
SARIF = json.loads(Path(__file__).with_name("sarif-2.1.0-required.json").read_text(encoding="utf-8"))


def judged(folder: Path, fill: Callable[[Assembly], object] = lambda _: None) -> Verdict:
    assembly = Assembly(folder / "cdk.out")
    fill(assembly)
    return judge(assembly.write(), everywhere(PACKS), today=TODAY)


def everything(assembly: Assembly) -> None:
    """Add a finding, a pack's warning, an acknowledgement, one that expires soon, and a fault."""
    assembly.violate("AwsSolutions-IAM5[Resource::<a>&\x0b/*]", f"{DATA}/Role/Resource")
    assembly.violate("Serverless-LambdaDLQ", f"{DATA}/Function", pack="Serverless", severity="warning")
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket")
    assembly.acknowledge("AwsSolutions-SQS3", f"{DATA}/Queue", reason=signed(expires="2027-01-15", at="queue.py:3"))
    assembly.acknowledge("AwsSolutions-S2", f"{DATA}/Bucket", used=False)
    assembly.failed = {"CloudFormation Validate": "out of memory"}


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    return judged(tmp_path, everything)


@pytest.fixture
def green(tmp_path: Path) -> Verdict:
    return judged(tmp_path / "green")


def test_every_format_is_written(verdict: Verdict, tmp_path: Path) -> None:
    write_all(verdict, tmp_path / "build" / "report")

    assert {path.name for path in (tmp_path / "build" / "report").iterdir()} == {
        *("nag.html", "nag.json", "nag.sarif", "nag.xml")
    }
    for path in (tmp_path / "build" / "report").iterdir():
        # Each contains everything: finding, pack warning, reason, fault, and what expires soon
        text = path.read_text(encoding="utf-8")
        for what in ("AwsSolutions-IAM5", "Serverless-LambdaDLQ", REASON, "AwsSolutions-S2", "expires on 2027-01-15"):
            assert what in text, f"{path.name}: {what}"


# JSON


def test_json_says_red_and_why(verdict: Verdict) -> None:
    content = json.loads(json.dumps(as_json(verdict)))

    assert content["verdict"] == "red"
    assert content["stacks"][DATA] == [*PACKS, "CloudFormation Validate"]
    assert [finding["rule"] for finding in content["findings"]] == [
        "Serverless-LambdaDLQ",
        "AwsSolutions-IAM5[Resource::<a>&\x0b/*]",
    ]
    assert {fault["place"] for fault in content["faults"]} == {AT, "CloudFormation Validate"}
    assert [warning["place"] for warning in content["warnings"]] == ["queue.py:3"]
    places = {"blocks/bucket.py": {"AwsSolutions-S1": 1}, "queue.py": {"AwsSolutions-SQS3": 1}}
    assert content["counts"] == {"Pipeline/dev-items": places}


def test_json_says_green(green: Verdict) -> None:
    assert as_json(green)["verdict"] == "green"


# SARIF


def test_sarif_is_valid(verdict: Verdict, green: Verdict) -> None:
    validator = jsonschema_rs.validator_for(SARIF, validate_formats=True)

    for each in (verdict, green):
        assert [error.message for error in validator.iter_errors(as_sarif(each))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), "2.0.0"),
        (("runs", 0, "tool"), {}),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "message"), {}),
        (("runs", 0, "results", 0, "rule"), "AwsSolutions-S1"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region"), {"startLine": 0}),
    ],
)
def test_sarif_validation_rejects_wrong_values(verdict: Verdict, path: tuple[Any, ...], value: Any) -> None:
    content = as_sarif(verdict)
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value

    assert list(jsonschema_rs.validator_for(SARIF, validate_formats=True).iter_errors(content))


def test_sarif_has_a_result_for_everything_and_names_its_rule(verdict: Verdict) -> None:
    (run,) = as_sarif(verdict)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]

    assert Counter((result["ruleId"], result["level"]) for result in run["results"]) == Counter(
        {
            ("AwsSolutions-IAM5", "error"): 1,
            ("Serverless-LambdaDLQ", "warning"): 1,
            ("AwsSolutions-S1", "note"): 1,
            ("AwsSolutions-SQS3", "note"): 1,
            (FAULT, "error"): len(verdict.faults),
            (CAUTION, "warning"): 1,
        }
    )
    assert all(rules[result["ruleIndex"]] == result["ruleId"] for result in run["results"])
    assert run["invocations"] == [{"executionSuccessful": False, "exitCode": 1}]


def test_sarif_shows_who_accepts_a_finding_and_where(verdict: Verdict) -> None:
    (run,) = as_sarif(verdict)["runs"]
    (accepted,) = [result for result in run["results"] if result["ruleId"] == "AwsSolutions-S1"]

    (suppression,) = accepted["suppressions"]
    assert suppression["justification"] == f"{REASON} (owner: platform; expires: 2027-06-30)"
    assert suppression["location"]["physicalLocation"] == {
        "artifactLocation": {"uri": "blocks/bucket.py"},
        "region": {"startLine": 70},
    }


# JUnit


def parsed(verdict: Verdict) -> ET.Element:
    return ET.fromstring(as_junit(verdict))  # noqa: S314  # nosec B314  # our own


def cases(verdict: Verdict) -> dict[str, list[ET.Element]]:
    """Test cases by their outcome: failure, error, skipped or passed."""
    found: dict[str, list[ET.Element]] = {"failure": [], "error": [], "skipped": [], "passed": []}
    for case in parsed(verdict).iter("testcase"):
        found[case[0].tag if len(case) else "passed"].append(case)
    return found


def test_junit_maps_findings_faults_and_acknowledgements(verdict: Verdict) -> None:
    found = cases(verdict)

    assert {(case.get("classname"), str(case.get("name")).split("[")[0].split()[0]) for case in found["failure"]} == {
        (DATA, "AwsSolutions-IAM5"),
        (DATA, "Serverless-LambdaDLQ"),
    }
    assert len(found["error"]) == len(verdict.faults)
    assert {case[0].get("message", "").partition(" (")[0] for case in found["skipped"]} == {REASON}
    # A pack that found nothing on a stack is a passed case
    assert {(case.get("classname"), case.get("name")) for case in found["passed"]} == {
        *(("Pipeline", pack) for pack in (*PACKS, "CloudFormation Validate")),
        (DATA, "CloudFormation Validate"),
    }


def test_junit_counts_match_its_cases(verdict: Verdict) -> None:
    for suite in parsed(verdict):
        assert int(suite.get("tests", "")) == len(suite.findall("testcase")) > 0
        assert int(suite.get("failures", "")) == len(suite.findall("*/failure"))
        assert int(suite.get("errors", "")) == len(suite.findall("*/error"))
        assert int(suite.get("skipped", "")) == len(suite.findall("*/skipped"))


def test_junit_is_without_failures_and_errors_when_green(green: Verdict) -> None:
    found = cases(green)

    assert not found["failure"] + found["error"]
    assert len(found["passed"]) == 2 * (len(PACKS) + 1) + 1


def test_junit_lists_what_expires_soon(verdict: Verdict) -> None:
    output = parsed(verdict).findtext("testsuite[@name='report']/system-out")

    assert output
    assert output.startswith("warning: queue.py:3: ")
