"""Every requirement and every checklist answer has a test, and every marked test belongs to one."""

from __future__ import annotations

import pytest

from slipway.evidence import checklist, requirements
from slipway.evidence.sources import Sources
from slipway.project import ROOT


def test_every_requirement_has_a_test() -> None:
    assert requirements.problems(requirements.read_requirements(ROOT)) == ()


@pytest.mark.parametrize("name", checklist.FILES)
def test_every_answer_of_a_checklist_has_proof(name: str) -> None:
    assert checklist.problems(_answered(name), Sources(ROOT)) == ()


@pytest.mark.parametrize("name", checklist.FILES)
def test_every_no_of_a_checklist_has_its_reason(name: str) -> None:
    for entry in _answered(name).entries:
        assert entry.answer is checklist.ChecklistAnswer.YES or entry.says.endswith("."), entry.name


def _answered(name: str) -> checklist.Checklist:
    return checklist.load_checklist(checklist.QUESTIONS / name, *checklist.answers_to(name))
