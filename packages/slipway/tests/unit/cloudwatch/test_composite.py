"""Composite alarms: their rules and the states that they come to."""

from __future__ import annotations

import pytest

from slipway.cloudwatch import AlarmError, AlarmState, CompositeAlarm

STATES = {
    "on": AlarmState.ALARM,
    "off": AlarmState.OK,
    "dark": AlarmState.INSUFFICIENT_DATA,
    "with space (1)": AlarmState.ALARM,
}


def composite(rule: object) -> CompositeAlarm:
    return CompositeAlarm.from_template({"AlarmRule": rule, "ActionsSuppressor": "other"}, name="all")


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("ALARM(on)", True),
        ('ALARM("on")', True),
        ("ALARM(off)", False),
        ("OK(off)", True),
        ("INSUFFICIENT_DATA(dark)", True),
        ("OK(dark)", False),
        ('ALARM("with space (1)")', True),
        ('ALARM("arn:aws:cloudwatch:us-east-1:111111111111:alarm:on")', True),
        ("ALARM(arn:aws:cloudwatch:us-east-1:111111111111:alarm:off)", False),
        ("TRUE", True),
        ("FALSE", False),
        ("NOT FALSE", True),
        ("NOT NOT ALARM(on)", True),
        ("ALARM(on) AND ALARM(off)", False),
        ("ALARM(on) OR ALARM(off)", True),
        # NOT before AND, AND before OR
        ("NOT ALARM(on) OR TRUE", True),
        ("NOT (ALARM(on) OR TRUE)", False),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("((ALARM(off) OR ALARM(on)) AND NOT OK(on))\n  AND INSUFFICIENT_DATA(dark)", True),
    ],
)
def test_a_rule_holds_or_not(rule: str, holds: bool) -> None:
    assert composite(rule).evaluate(STATES) is (AlarmState.ALARM if holds else AlarmState.OK)


def test_it_says_which_alarms_it_asks_for() -> None:
    which = composite('ALARM("a b") OR NOT OK(arn:aws:cloudwatch:us-east-1:111111111111:alarm:c) OR ALARM(d)')

    assert which.alarms == {"a b", "c", "d"}
    assert which.name == "all"


def test_an_alarm_that_is_not_there_is_named() -> None:
    with pytest.raises(AlarmError, match="all: the rule refers to nowhere, which does not exist"):
        composite("ALARM(on) OR ALARM(nowhere)").evaluate(STATES)


@pytest.mark.parametrize(
    "rule", ["", "ALARM()", "ALARM(on", "on", "ALARM(on) ALARM(off)", "AT_LEAST(1, ALARM, (on, off))", "NOT", "XOR"]
)
def test_a_rule_that_cannot_be_read_is_one_line(rule: str) -> None:
    with pytest.raises(AlarmError, match=r"all: AlarmRule .* cannot be parsed") as refusal:
        composite(rule)
    assert "\n" not in str(refusal.value)


def test_an_unresolved_rule_is_reported() -> None:
    with pytest.raises(AlarmError, match=r"AlarmRule is .*Fn::Join.*, not an expression"):
        composite({"Fn::Join": ["", []]})
