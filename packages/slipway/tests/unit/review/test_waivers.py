"""Waivers excuse the findings that a change intends, and nothing else."""

from __future__ import annotations

from datetime import date

import pytest

from slipway.review.errors import ReviewError
from slipway.review.findings import ChangeFinding, Severity
from slipway.review.waivers import WAIVERS_FILE, Judgement, judge, read_waivers
from unit.review.waivers import waiver

pytestmark = pytest.mark.requirement("gates before any account")

TODAY = date(2027, 1, 15)
RED = ChangeFinding(
    kind="stateful-removed",
    severity=Severity.CRITICAL,
    stage="dev-items",
    stack="dev-items-data",
    resource="Pipeline/dev-items/Data/Table",
    what="it goes",
)
ORANGE = ChangeFinding(
    kind="alarm-removed",
    severity=Severity.HIGH,
    stage="dev-items",
    stack="dev-items-data",
    resource="Pipeline/dev-items/Data/Alarm",
    what="it goes",
)


def judged(text: str, *findings: ChangeFinding, base: str = "", today: date = TODAY) -> Judgement:
    return judge(findings, read_waivers(text), known=read_waivers(base), today=today)


def test_only_a_critical_finding_stops_a_change() -> None:
    assert judged("", RED, ORANGE).stopping == (RED,)
    assert not judged("", ORANGE).red
    assert not judged("").red


def test_a_waiver_for_the_finding_accepts_the_change() -> None:
    judgement = judged(waiver(RED.id), RED)

    assert not judgement.red
    ((finding, given),) = judgement.waived
    assert finding is RED
    assert given.owner == "platform-team"


def test_one_waiver_may_cover_several_stages() -> None:
    judgement = judged(waiver(RED.id, ORANGE.id), RED, ORANGE)

    assert not judgement.red
    assert len(judgement.waived) == 2


def test_a_waiver_without_its_finding_fails() -> None:
    # The finding that it names is waived
    assert not judged(waiver(RED.id), RED).red

    judgement = judged(waiver(RED.id), ORANGE)
    assert judgement.red
    assert judgement.problems == (
        f"{WAIVERS_FILE}: a waiver names {RED.id}, which the change does not contain; delete the waiver",
    )


def test_a_waiver_of_another_finding_excuses_nothing() -> None:
    other = RED.id.replace("Table", "Bucket")

    judgement = judged(waiver(other), RED)
    assert judgement.stopping == (RED,)
    assert judgement.problems


@pytest.mark.parametrize(("day", "red"), [(31, False), (30, False)])
def test_a_waiver_holds_to_its_last_day(day: int, red: bool) -> None:
    assert judged(waiver(RED.id), RED, today=date(2027, 1, day)).red is red


def test_an_expired_waiver_fails_and_excuses_nothing() -> None:
    judgement = judged(waiver(RED.id), RED, today=date(2027, 2, 1))

    assert judgement.stopping == (RED,)
    assert judgement.problems == (
        f"{WAIVERS_FILE}: the waiver of {RED.id} expired on 2027-01-31 (owner: platform-team)",
    )


def test_a_waiver_of_the_base_is_spent() -> None:
    # Given a waiver whose change was delivered, or is waiting before this one
    text = waiver(RED.id)

    gone = judged(text, base=text)
    assert not gone.red
    assert gone.spent == (RED.id,)
    # Then it does not excuse the same finding again
    again = judged(text, RED, base=text)
    assert again.stopping == (RED,)
    # And it expires like any other
    assert judged(text, base=text, today=date(2027, 2, 1)).red


def test_a_rewritten_waiver_is_not_spent() -> None:
    assert not judged(waiver(RED.id, expires="2027-02-28"), RED, base=waiver(RED.id)).red


def test_the_same_finding_is_waived_once() -> None:
    judgement = judged(waiver(RED.id) + waiver(RED.id, owner="others"), RED)

    assert judgement.problems == (f"{WAIVERS_FILE}: {RED.id} is waived twice",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[waiver]", "is not valid TOML"),
        ("what = 1", "what: is not a known key"),
        (waiver(RED.id, reason="ok"), "waiver.1.reason: explain in a sentence"),
        (waiver(RED.id, reason="1 2 3 4 5 6"), "waiver.1.reason: explain in a sentence"),
        (waiver(RED.id, owner=" "), "waiver.1.owner: names no finding|waiver.1.owner"),
        (waiver("something"), "waiver.1.findings.1: names no finding"),
        (waiver(), "waiver.1.findings"),
        (waiver(RED.id, expires='"2027-01-31"'), "waiver.1.expires"),
        (waiver(RED.id).replace("owner", "who"), "waiver.1"),
        (waiver(RED.id).replace('owner = "platform-team"\n', ""), "waiver.1.owner: is required"),
    ],
)
def test_an_incomplete_waiver_is_refused(text: str, message: str) -> None:
    with pytest.raises(ReviewError, match=f"{WAIVERS_FILE}.*({message})") as caught:
        read_waivers(text)
    assert "\n" not in str(caught.value)
