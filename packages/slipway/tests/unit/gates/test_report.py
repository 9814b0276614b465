"""The verdict is readable on a terminal and as a standalone page: by stack, with what to do."""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from slipway.nag.names import everywhere
from slipway.nag.page import write_page
from slipway.nag.terminal import SHOWN, print_report
from slipway.nag.verdict import Verdict, judge
from unit.gates.assembly import AT, DATA, PACKS, REASON, Assembly, signed

pytestmark = pytest.mark.requirement("the report on the terminal and as a page")


@pytest.fixture
def verdict(tmp_path: Path) -> Verdict:
    assembly = Assembly(tmp_path / "cdk.out")
    assembly.violate("AwsSolutions-IAM5[Resource::<script>/*]", f"{DATA}/Role/Resource")
    assembly.violate("Serverless-LambdaDLQ", f"{DATA}/Function", pack="Serverless", severity="warning")
    assembly.acknowledge("AwsSolutions-S1", f"{DATA}/Bucket/Resource")
    assembly.acknowledge("AwsSolutions-S10", f"{DATA}/Bucket/Resource")
    assembly.acknowledge("AwsSolutions-SQS3", f"{DATA}/Queue", reason=signed(expires="2027-01-15", at="queue.py:3"))
    return judge(assembly.write(), everywhere(PACKS), today=date(2027, 1, 1))


def printed(verdict: Verdict, *, terminal: bool = False) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=terminal, highlight=False)
    print_report(verdict, console, details="nag.html")
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_terminal_shows_finding_and_what_to_do(verdict: Verdict) -> None:
    text = printed(verdict)

    row = next(line for line in text.splitlines() if "Serverless-LambdaDLQ" in line)
    assert DATA in text
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        "Serverless-LambdaDLQ",
        "warning",
        "Function",
        "Serverless-LambdaDLQ is broken. → fix it, or acknowledge Serverless-LambdaDLQ",
    ]


def test_reasons_are_in_the_file_not_on_the_terminal(verdict: Verdict) -> None:
    text = printed(verdict)

    assert REASON not in text
    assert text.splitlines()[-2] == "acknowledged findings and their reasons: nag.html"


def test_the_last_line_is_the_verdict(verdict: Verdict) -> None:
    assert printed(verdict).splitlines()[-1] == (
        "nag gate RED: 2 findings, 0 faults, 1 warning, 3 acknowledged findings in 2 stacks"
        " by AwsSolutions, Serverless, CloudFormation Validate: "
        + ", ".join(f"{finding.rule} at {finding.path}" for finding in verdict.findings)
    )


def test_a_warning_is_printed_above_the_verdict(verdict: Verdict) -> None:
    line = printed(verdict).splitlines()[-3]

    assert line == (
        "warning queue.py:3: the acknowledgement of AwsSolutions-SQS3 expires on 2027-01-15: platform must review it"
    )


def test_many_findings_leave_the_verdict_on_the_screen(tmp_path: Path) -> None:
    # Given as many findings as a copied service produces
    assembly = Assembly(tmp_path / "cdk.out")
    for number in range(330):
        assembly.violate("Serverless-LambdaDLQ", f"{DATA}/Function{number}", pack="Serverless")
    verdict = judge(assembly.write(), everywhere(PACKS), today=date(2027, 1, 1))

    lines = printed(verdict).splitlines()

    # Then a few are shown, and the line above the verdict says where to find the rest
    assert sum("LambdaDLQ is broken" in line for line in lines) == SHOWN
    assert lines[-2] == "and 310 more: nag.html"
    assert "330 findings" in lines[-1]


def test_colours_are_for_terminals_alone(verdict: Verdict) -> None:
    assert "\x1b[" not in printed(verdict)
    assert "\x1b[" in printed(verdict, terminal=True)


def test_the_page_holds_everything_and_needs_no_other_file(verdict: Verdict, tmp_path: Path) -> None:
    page = tmp_path / "report" / "nag.html"

    write_page(verdict, page)

    text = page.read_text(encoding="utf-8")
    assert "AwsSolutions-IAM5[Resource::&lt;script&gt;/*]" in text
    assert REASON in text
    assert "2027-06-30" in text
    assert AT in text
    assert "expires on 2027-01-15: platform must review it" in text
    assert "RED" in text
    assert not [word for word in ("<script", "src=", "href=", "@import", "url(") if word in text]
