"""The committed configuration, whatever it says: no test asserts a value of it."""

from __future__ import annotations

import pytest

from slipway.testing.app import Subject
from slipway.testing.rules import RULES, Rule


@pytest.mark.requirement("capacity by configuration")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_configuration_keeps_to_the_rules(subject: Subject, rule: Rule) -> None:
    assert list(rule(subject.settings)) == []
