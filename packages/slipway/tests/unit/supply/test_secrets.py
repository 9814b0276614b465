"""Secrets with the real Kingfisher: one in the files or the history is red, and is never repeated in a report."""

from __future__ import annotations

import hashlib
import json
import random
import string
from datetime import date
from pathlib import Path

import pytest

from slipway.gates.outcome import Outcome, StepState
from slipway.supply import secrets
from slipway.supply.errors import SupplyError
from slipway.supply.policy import NotSecret, Secrets
from slipway.supply.repository import ScannedTree
from unit.supply.checkout import Checkout

pytestmark = pytest.mark.programs


def drawn(count: int, *, seed: str) -> str:
    """Return letters and digits that no file contains, so that a scan of this repository does not find them."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=count))


TOKEN = f"gh{'p'}_{drawn(36, seed='a')}"
PASSWORD = f"{drawn(12, seed='b')}aB7"
KEY = f"{drawn(28, seed='c')}a12"


def rules(outcome: Outcome) -> set[tuple[str, str]]:
    return {(finding.place, finding.rule) for finding in outcome.findings}


def looked(repository: ScannedTree, *none: str, today: date = date(2029, 12, 31)) -> Outcome:
    reason = "an example in a manual, that opens nothing"
    known = tuple(
        NotSecret(
            value=hashlib.sha256(each.encode()).hexdigest(), reason=reason, owner="platform", expires=date(2030, 1, 1)
        )
        for each in none
    )
    return secrets.check(repository, Secrets(none=known), today=today)


@pytest.mark.requirement("gates before any account")
@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"url = {TOKEN}\n", "betterleaks.github-pat"),
        (f'db_password = "{PASSWORD}"\n', "slipway.assigned-password"),
        (f'{{"api_key": "{KEY}"}}\n', "slipway.assigned-secret"),
    ],
    ids=["a provider's token", "a password", "a key in JSON"],
)
def test_a_planted_secret_is_red_and_its_fix_green(tmp_path: Path, text: str, rule: str) -> None:
    # Given a checkout with a secret that is not committed yet
    repository = Checkout(tmp_path).write()
    (tmp_path / "notes.txt").write_text(text, encoding="utf-8")

    outcome = looked(repository)

    assert outcome.state is StepState.FAILED
    assert ("notes.txt:1", rule) in rules(outcome)
    # And no output repeats it
    for value in (TOKEN, PASSWORD, KEY):
        assert value not in json.dumps(outcome.plain())

    (tmp_path / "notes.txt").write_text("url = the one of the vault\n", encoding="utf-8")

    assert looked(repository).state is StepState.PASSED


@pytest.mark.requirement("gates before any account")
def test_removed_secret_is_still_found_in_history(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    repository = checkout.write()
    checkout.put("notes.txt", f"url = {TOKEN}\n")
    checkout.commit()
    checkout.put("notes.txt", "url = none\n")
    checkout.commit()

    outcome = looked(repository)

    (finding,) = outcome.findings
    assert finding.place.startswith("notes.txt:1 at ")


def test_non_secret_is_accepted_by_digest_with_reason(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.put("notes.txt", f"url = {TOKEN}\n")

    outcome = looked(checkout.write(), TOKEN)

    assert outcome.state is StepState.PASSED
    assert {one.reason for one in outcome.accepted} == {"an example in a manual, that opens nothing"}


def test_an_expired_exception_for_a_value_is_red(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.put("notes.txt", f"url = {TOKEN}\n")

    outcome = looked(checkout.write(), TOKEN, today=date(2030, 1, 2))

    assert rules(outcome) == {("policy.toml", "expired")}


def test_a_stale_acceptance_is_red(tmp_path: Path) -> None:
    outcome = looked(Checkout(tmp_path).write(), TOKEN)

    assert rules(outcome) == {("policy.toml", "stale")}


def test_a_checkout_without_history_is_noted(tmp_path: Path) -> None:
    # Given files without a git history, as in a source's zip
    repository = Checkout(tmp_path).write()
    (tmp_path / ".git").rename(tmp_path.parent / f"{tmp_path.name}-git")
    (tmp_path / "notes.txt").write_text(f"url = {TOKEN}\n", encoding="utf-8")

    outcome = looked(repository)

    assert ("notes.txt:1", "betterleaks.github-pat") in rules(outcome)
    assert outcome.notes == ("the history was not scanned, because this checkout has none",)


def test_unreadable_history_is_not_treated_as_missing(tmp_path: Path) -> None:
    repository = Checkout(tmp_path).write()
    (tmp_path / ".git").rename(tmp_path.parent / f"{tmp_path.name}-git")
    (tmp_path / ".git").write_text("gitdir: nowhere\n", encoding="utf-8")

    with pytest.raises(SupplyError, match="git cannot read this checkout"):
        looked(repository)


@pytest.mark.parametrize(
    ("out", "code"),
    [("", 0), ("", 2), ('{"findings": [], "metadata": {"summary": {}}}', 0)],
    ids=["nothing", "2", "odd"],
)
def test_an_aborted_scan_is_not_accepted(tmp_path: Path, out: str, code: int) -> None:
    checkout = Checkout(tmp_path)
    checkout.python = checkout.stub("kingfisher", out, code=code).with_name("python")

    with pytest.raises(SupplyError, match="kingfisher did not finish"):
        looked(checkout.write())


def test_scan_that_misses_the_planted_secret_fails(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    out = {"findings": [], "metadata": {"summary": {"blobs_scanned": 9, "rules_applied": 490}}}
    checkout.python = checkout.stub("kingfisher", json.dumps(out)).with_name("python")

    with pytest.raises(SupplyError, match="did not find the planted secret"):
        looked(checkout.write())
