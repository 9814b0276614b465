"""Composite alarms: how their rules are parsed and evaluated."""

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
        # NOT binds tighter than AND, and AND tighter than OR.
        ("NOT ALARM(on) OR TRUE", True),
        ("NOT (ALARM(on) OR TRUE)", False),
        ("TRUE OR TRUE AND FALSE", True),
        ("(TRUE OR TRUE) AND FALSE", False),
        ("((ALARM(off) OR ALARM(on)) AND NOT OK(on))\n  AND INSUFFICIENT_DATA(dark)", True),
    ],
)
def test_a_rule_holds_or_not(rule: str, holds: bool) -> None:
    assert composite(rule).evaluate(STATES) is (AlarmState.ALARM if holds else AlarmState.OK)


def test_composite_lists_the_alarms_it_reads() -> None:
    which = composite('ALARM("a b") OR NOT OK(arn:aws:cloudwatch:us-east-1:111111111111:alarm:c) OR ALARM(d)')

    assert which.alarms == {"a b", "c", "d"}
    assert which.name == "all"


def test_missing_alarm_is_named() -> None:
    with pytest.raises(AlarmError, match="all: the rule refers to nowhere, which does not exist"):
        composite("ALARM(on) OR ALARM(nowhere)").evaluate(STATES)


@pytest.mark.parametrize(
    "rule", ["", "ALARM()", "ALARM(on", "on", "ALARM(on) ALARM(off)", "AT_LEAST(1, ALARM, (on, off))", "NOT", "XOR"]
)
def test_invalid_rule_is_reported_in_one_line(rule: str) -> None:
    with pytest.raises(AlarmError, match=r"all: AlarmRule .* cannot be parsed") as refusal:
        composite(rule)
    assert "\n" not in str(refusal.value)


def test_an_unresolved_rule_is_reported() -> None:
    with pytest.raises(AlarmError, match=r"AlarmRule is .*Fn::Join.*, not an expression"):
        composite({"Fn::Join": ["", []]})
