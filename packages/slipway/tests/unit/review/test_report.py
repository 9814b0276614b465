"""The review for people and machines: terminal, page, JSON, and one paragraph."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from slipway import project
from slipway.review.comparison import compare
from slipway.review.exports import write_json
from slipway.review.findings import KINDS
from slipway.review.outcome import ReviewOutcome, ReviewState, as_json, paragraph, summary
from slipway.review.report import page, print_review, write_page
from unit.review.assemblies import of, resource, template, write
from unit.review.outcomes import ALLOWED, FIRST, GONE, REFUSED, outcome
from unit.review.planted import TABLE
from unit.review.waivers import waiver
from unit.typed import typed

PROJECT = project.ROOT


def printed(review: ReviewOutcome) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    print_review(review, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_terminal_says_the_verdict_last() -> None:
    lines = printed(outcome()).strip().splitlines()

    assert lines[-1] == "change review RED: 1 critical, 1 high; 1 changed, 1 removed resources; stopped by " + GONE


def test_the_terminal_shows_finding_reason_and_advice() -> None:
    text = " ".join(printed(outcome()).split())

    assert GONE in text
    assert "remains as an orphan" in text
    assert KINDS["stateful-removed"].why in text
    assert "prod-items-data" in text


def test_waived_finding_is_shown_with_its_reason() -> None:
    review = outcome(waiver(GONE))

    assert not review.red
    text = " ".join(printed(review).split())
    assert "critical (waived)" in text
    assert "The table was empty" in text
    assert "change review green: 1 critical, 1 high, 1 waived;" in text


def test_markup_in_findings_is_escaped() -> None:
    before = {"Alarm": resource("AWS::CloudWatch::Alarm", {"MetricName": "[red]a[/red]"}), **TABLE}
    comparison = compare(of(before), of(TABLE))
    review = ReviewOutcome(state=ReviewState.REVIEWED, base="a", head="b", comparison=comparison)

    assert "[red]a[/red]" in printed(review)


@pytest.mark.parametrize(
    ("review", "said", "red"),
    [
        (outcome(changed=False), "change review green: no finding; no resource changes", False),
        (FIRST, "change review green: the first delivery, everything is added (2 added resources)", False),
        (REFUSED, "change review RED: x is not a revision of this repository", True),
        (ALLOWED, "change review not made: the source is S3", False),
        (
            outcome(waiver("alarm-removed:a")),
            "change review RED: 1 critical, 1 high, 1 fault; 1 changed, 1 removed resources; stopped by " + GONE,
            True,
        ),
    ],
)
def test_the_verdict_in_one_line(review: ReviewOutcome, said: str, red: bool) -> None:
    assert summary(review) == said
    assert review.red is red
    assert printed(review).strip().splitlines()[-1] == said


def test_the_paragraph_for_the_approval() -> None:
    text = paragraph(outcome(waiver(GONE)))

    assert "\n" not in text
    assert text.startswith("Against HEAD~1 (abc): 1 changed, 1 removed resources, in prod-items; no new code.")
    assert "Found: 1 critical, 1 high." in text
    assert "Above all: AWS::DynamoDB::Table leaves the template" in text
    assert "Waived: 1 finding (The table was empty, and nobody uses the service yet)." in text
    # CodePipeline accepts a thousand characters besides the commit
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("review", "said"),
    [
        (outcome(changed=False), "Against HEAD~1 (abc) nothing changes."),
        (FIRST, "The first delivery: nothing is deployed yet, and everything is added (2 added resources)."),
        (REFUSED, "The change was not reviewed: x is not a revision of this repository."),
        (outcome(), "It must not continue unchanged."),
    ],
)
def test_the_paragraph_summarises_the_review(review: ReviewOutcome, said: str) -> None:
    assert said in paragraph(review)


def test_json_contains_everything(tmp_path: Path) -> None:
    write_json(outcome(waiver(GONE)), tmp_path / "report" / "review.json")
    content = json.loads((tmp_path / "report" / "review.json").read_text(encoding="utf-8"))

    assert content["format"] == 1
    assert content["verdict"] == "green"
    by_id = {finding["id"]: finding for finding in content["findings"]}
    assert by_id[GONE]["waiver"] == {
        "reason": "The table was empty, and nobody uses the service yet.",
        "owner": "platform-team",
        "expires": "2027-01-31",
    }
    assert {"severity", "stage", "stack", "resource", "what", "details", "why", "do"} <= by_id[GONE].keys()
    (change,) = [
        change
        for stage in content["stages"]
        for stack in stage["stacks"]
        for change in stack["changes"]
        if change["fate"] == "removed"
    ]
    assert change["resource"] == "Pipeline/prod-items/Data/Table"


@pytest.mark.parametrize("review", [outcome(), outcome(waiver(GONE)), outcome(changed=False), FIRST, REFUSED, ALLOWED])
def test_the_page_is_self_contained(review: ReviewOutcome, tmp_path: Path) -> None:
    write_page(review, tmp_path / "review.html")
    text = (tmp_path / "review.html").read_text(encoding="utf-8")

    assert text.startswith("<!doctype html>")
    assert '<meta name="viewport"' in text
    assert "@media print" in text
    # It loads no file and no address
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert "url(" not in text
    assert "<script" not in text
    assert summary(review).replace("'", "&#39;") in text


def test_page_shows_every_finding_with_id_and_waiver() -> None:
    review = outcome(waiver(GONE))
    text = page(review)

    for finding in review.comparison.findings:
        assert finding.id in text
        assert finding.advice.replace("'", "&#39;").replace('"', "&#34;") in text
    assert "Waived by platform-team until 2027-01-31" in text


def test_the_page_escapes_content_of_templates() -> None:
    before = {"Alarm": resource("AWS::CloudWatch::Alarm", {"MetricName": "<script>alert(1)</script>"}), **TABLE}
    review = ReviewOutcome(state=ReviewState.REVIEWED, base="a", head="b", comparison=compare(of(before), of(TABLE)))

    assert "<script" not in page(review)


# The command


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    topic = {"Topic": resource("AWS::SNS::Topic")}
    one = write(tmp_path / "one", {"prod-items-data": template({**TABLE, **topic})})
    other = write(tmp_path / "other", {"prod-items-data": template(topic)})
    return one, other


def _run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    files = ["--json", str(tmp_path / "r" / "review.json"), "--html", str(tmp_path / "r" / "review.html")]
    done = typed("review", *arguments, *files)
    return done.exit_code, done.stderr


@pytest.mark.programs
def test_the_command_is_red_by_its_exit_code(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one, other = folders

    assert _run(tmp_path, str(one), str(other))[0] == 1
    assert json.loads((tmp_path / "r" / "review.json").read_text(encoding="utf-8"))["verdict"] == "red"
    assert _run(tmp_path, str(one), str(one))[0] == 0
    assert json.loads((tmp_path / "r" / "review.json").read_text(encoding="utf-8"))["verdict"] == "green"


@pytest.mark.programs
def test_bad_input_is_one_red_line_and_a_red_report(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = folders
    # Given the green report of an earlier run
    assert _run(tmp_path, str(one), str(one))[0] == 0

    code, said = _run(tmp_path, str(one), str(tmp_path / "nowhere"))
    assert code == 2
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("change review RED: ")
    assert "Traceback" not in said
    # Then it is overwritten with a red report
    assert json.loads((tmp_path / "r" / "review.json").read_text(encoding="utf-8"))["verdict"] == "red"
    assert "change review RED" in (tmp_path / "r" / "review.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_red(folders: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = folders
    (tmp_path / "r").touch()

    code, said = _run(tmp_path, str(one), str(one))
    assert code == 2
    assert "cannot be written" in said


def test_as_json_says_when_nothing_was_reviewed() -> None:
    assert as_json(REFUSED)["verdict"] == "red"
    assert as_json(ALLOWED)["verdict"] == "not made"
