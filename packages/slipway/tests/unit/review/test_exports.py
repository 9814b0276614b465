"""Review results for code scanning and for pull requests."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import jsonschema_rs
import pytest

from slipway.review.assembly import ReviewedStack
from slipway.review.comparison import Comparison, compare
from slipway.review.exports import FAULT, as_markdown, as_sarif
from slipway.review.findings import ChangeFinding, Severity
from slipway.review.grouping import group
from slipway.review.outcome import ReviewOutcome, ReviewState, as_json, summary
from slipway.review.waivers import judge, read_waivers
from unit.review.assemblies import STAGE, assembly, resource, stack
from unit.review.waivers import waiver

SARIF = json.loads(Path(__file__).parents[1].joinpath("gates", "sarif-2.1.0-required.json").read_text(encoding="utf-8"))
TODAY = date(2027, 1, 15)


def _stacks(**properties: object) -> list[ReviewedStack]:
    """Return a function with an alarm, in two stages."""
    resources = {
        "Errors": resource("AWS::CloudWatch::Alarm", {"Threshold": 1, "AlarmActions": ["arn"], **properties}),
    }
    return [
        stack(resources, name=f"{stage}-compute", stage=stage, account=account)
        for stage, account in (("dev-items", "111111111111"), (STAGE, "222222222222"))
    ]


def _outcome(waivers: str = "", **faults: object) -> ReviewOutcome:
    table = {"Table": resource("AWS::DynamoDB::Table")}
    before = assembly(*_stacks(), stack({**table, "Topic": resource("AWS::SNS::Topic")}))
    after = assembly(*_stacks(AlarmActions=[]), stack({"Topic": resource("AWS::SNS::Topic")}))
    comparison = compare(before, after)
    return ReviewOutcome(
        state=ReviewState.REVIEWED,
        base="one",
        head="two <b>|x|",
        comparison=comparison,
        judgement=judge(comparison.findings, read_waivers(waivers), today=TODAY),
        **faults,  # type: ignore[arg-type]
    )


def test_equal_lines_of_stages_are_shown_once() -> None:
    groups = group(_outcome().comparison.findings)

    (silenced,) = [each for each in groups if each.first.kind == "alarm-silenced"]
    assert {finding.stage for finding in silenced.findings} == {"dev-items", STAGE}
    assert silenced.others == (f"Pipeline/{STAGE}/Compute/Errors ({STAGE})",)
    # And the summary counts each change once, while each place keeps its id
    assert "1 critical, 1 high (in 3 places)" in summary(_outcome())
    assert len(as_json(_outcome())["findings"]) == 3


def test_findings_that_differ_in_what_they_say_stay_apart() -> None:
    before = assembly(*_stacks(Threshold=1), stack({"Topic": resource("AWS::SNS::Topic")}))
    changed = [_stacks(Threshold=5)[0], _stacks(Threshold=9)[1]]
    findings = compare(before, assembly(*changed, stack({"Topic": resource("AWS::SNS::Topic")}))).findings

    assert len(group(findings)) == len(findings) == 2


@pytest.mark.parametrize("faults", [(), ("something is wrong",)])
def test_sarif_is_valid(faults: tuple[str, ...]) -> None:
    validator = jsonschema_rs.validator_for(SARIF, validate_formats=True)
    written = waiver("stateful-removed:Pipeline/prod-items/Data/Table")

    content = as_sarif(_outcome(written, problems=faults), at="cdk.json")

    assert [error.message for error in validator.iter_errors(content)] == []
    results = content["runs"][0]["results"]
    assert [result["ruleId"] for result in results][3:] == [FAULT] * len(faults)
    assert results[0]["level"] == "error"
    assert results[0]["suppressions"][0]["status"] == "accepted"
    assert "suppressions" not in results[1]


def test_markdown_collapses_less_severe_findings() -> None:
    text = as_markdown(_outcome())

    assert text.startswith("<!-- slipway-review -->\n### :x: change review RED")
    assert text.count("**high** it changes its state") + text.count("**high**") == 1
    assert text.count("<details>") == text.count("</details>") == 1
    assert "stateful-removed:Pipeline/prod-items/Data/Table" in text


def test_markdown_of_many_findings_fits_a_comment() -> None:
    findings = tuple(
        ChangeFinding(
            kind="replaced",
            severity=Severity.HIGH,
            stage=STAGE,
            stack="prod-items-data",
            resource=f"Pipeline/{STAGE}/Data/{number}",
            what=f"the setting {number} changes",
        )
        for number in range(1000)
    )
    comparison = Comparison(findings=findings)

    text = as_markdown(ReviewOutcome(state=ReviewState.REVIEWED, comparison=comparison))

    assert len(text) < 65_536
    assert text.count("<details>") == text.count("</details>")
    assert "see the full report" in text
