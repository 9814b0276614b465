"""The committed configuration, whatever its values: no test asserts one of them."""

from __future__ import annotations

import pytest

from slipway.project import ROOT
from slipway.review.waivers import WAIVERS_FILE, read_waivers
from slipway.testing.app import Subject
from slipway.testing.rules import RULES, Rule


@pytest.mark.requirement("capacity by configuration")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_configuration_keeps_to_the_rules(subject: Subject, rule: Rule) -> None:
    assert list(rule(subject.settings)) == []


@pytest.mark.requirement("gates before any account")
def test_waivers_and_the_example_in_their_file_can_be_read() -> None:
    # Given the example without its comment marks; a team may have deleted it
    text = (ROOT / WAIVERS_FILE).read_text(encoding="utf-8")
    _, mark, example = text.partition("# [[waiver]]")
    lines = [line.removeprefix("# ") for line in f"{mark}{example}".splitlines()]

    assert isinstance(read_waivers(text), tuple)
    assert len(read_waivers("\n".join(lines))) >= bool(mark)
