"""Static analysis with the real Bandit: a planted finding is red, and an exception needs a rule and a reason."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from slipway.gates.outcome import Outcome, StepState
from slipway.supply import sast
from slipway.supply.errors import SupplyError
from slipway.supply.policy import LeftOut, Sast
from unit.supply.checkout import HANDLER, Checkout

pytestmark = pytest.mark.programs


EVAL = "def handler(event):\n    return eval(event['q'])"
WHY = "  # why it is safe here"
TODAY = date(2030, 1, 1)


def scanned(folder: Path, code: str, rules: Sast | None = None) -> Outcome:
    return sast.check(Checkout(folder, code=code).write(), rules or Sast(), today=TODAY)


def found(outcome: Outcome) -> list[tuple[str, str]]:
    return [(finding.place, finding.rule) for finding in outcome.findings]


@pytest.mark.requirement("gates before any account")
def test_a_planted_finding_is_red_and_its_fix_green(tmp_path: Path) -> None:
    red = scanned(tmp_path / "red", EVAL)
    green = scanned(tmp_path / "green", "def handler(event):\n    return event['q']\n")

    assert (red.state, found(red)) == (StepState.FAILED, [(f"{HANDLER}:2", "B307")])
    assert (green.state, green.scanned) == (StepState.PASSED, (HANDLER,))


def test_mark_accepts_one_rule_on_its_line(tmp_path: Path) -> None:
    outcome = scanned(tmp_path, f"{EVAL}  # nosec B307{WHY}\n\n{EVAL.replace('handler', 'other')}\n")

    assert [(one.place, one.rule, one.reason) for one in outcome.accepted] == [
        (f"{HANDLER}:2", "B307", "why it is safe here")
    ]
    assert found(outcome) == [(f"{HANDLER}:5", "B307")]


@pytest.mark.parametrize(
    ("mark", "rules"),
    [
        ("# nosec", {"B307", "nosec"}),
        (f"# nosec{WHY}", {"B307", "nosec"}),
        ("# nosec B307", {"nosec"}),
        (f"# nosec B102{WHY}", {"B307", "stale"}),
        (f"# nosec B307, B102{WHY}", {"stale"}),
    ],
    ids=["bare", "no rule", "no reason", "another rule", "one too many"],
)
def test_mark_without_rule_or_reason_fails(tmp_path: Path, mark: str, rules: set[str]) -> None:
    outcome = scanned(tmp_path, f"{EVAL}  {mark}\n")

    assert {rule for _, rule in found(outcome)} == rules


def test_a_stale_mark_is_red(tmp_path: Path) -> None:
    outcome = scanned(tmp_path, f"x = 1  # nosec B307{WHY}\n")

    assert found(outcome) == [(f"{HANDLER}:1", "stale")]


def test_a_mark_in_a_string_is_ignored(tmp_path: Path) -> None:
    assert scanned(tmp_path, 'x = "# nosec"\n').state is StepState.PASSED


def test_a_rule_is_left_out_only_under_its_folder(tmp_path: Path) -> None:
    def rules(under: str) -> Sast:
        return left_out(under=under)

    inside = scanned(tmp_path / "inside", EVAL, rules("services"))
    outside = scanned(tmp_path / "outside", EVAL, rules("tests"))
    by_name = scanned(tmp_path / "named", EVAL, rules("**/runtime"))

    assert inside.state is StepState.PASSED
    assert inside.notes == ("B307 is left out under services (1 places): what it evaluates is drawn by us",)
    assert by_name.state is StepState.PASSED
    # An exception that covers nothing is stale
    assert found(outside) == [("policy.toml", "stale"), (f"{HANDLER}:2", "B307")]


def test_an_expired_exception_is_red(tmp_path: Path) -> None:
    outcome = scanned(tmp_path, EVAL, left_out(expires=TODAY - timedelta(days=1)))

    assert found(outcome) == [("policy.toml", "expired")]
    assert "sast.left_out: B307 expired on" in outcome.findings[0].message


def test_an_exception_holds_on_its_last_day(tmp_path: Path) -> None:
    assert scanned(tmp_path, EVAL, left_out(expires=TODAY)).state is StepState.PASSED


def left_out(*, under: str = "", expires: date = TODAY) -> Sast:
    reason = "what it evaluates is drawn by us"
    return Sast(left_out=(LeftOut(rule="B307", under=under, reason=reason, owner="platform", expires=expires),))


def test_a_file_that_cannot_be_read_is_red(tmp_path: Path) -> None:
    assert (HANDLER, "unread") in found(scanned(tmp_path, "def handler(:\n"))


def test_an_uncommitted_file_is_scanned(tmp_path: Path) -> None:
    repository = Checkout(tmp_path).write()
    (tmp_path / "new.py").write_text(EVAL, encoding="utf-8")

    assert found(sast.check(repository, Sast(), today=TODAY)) == [("new.py:2", "B307")]


@pytest.mark.parametrize("out", ["", '{"errors": [], "metrics": {}, "results": []}'], ids=["nothing", "no plant"])
def test_scan_that_misses_the_planted_secret_fails(tmp_path: Path, out: str) -> None:
    checkout = Checkout(tmp_path)
    checkout.python = checkout.stub("python", out)

    with pytest.raises(SupplyError, match="bandit"):
        sast.check(checkout.write(), Sast(), today=TODAY)
