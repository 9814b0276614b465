"""Failure modes are parsed from the form in which people write them."""

from __future__ import annotations

import pytest

from slipway.detectability import FAULTS, FailureMode
from slipway.errors import RehearsalError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5%", FailureMode("error-rate=5%", errors=0.05)),
        ("0.1 %", FailureMode("error-rate=0.1%", errors=0.001)),
        ("error-rate=20%", FailureMode("error-rate=20%", errors=0.2)),
        ("error-rate=100%", FailureMode("error-rate=100%", errors=1)),
        ("answered=5%", FailureMode("answered=5%", answered=0.05)),
        ("latency=3s", FailureMode("latency=3s", slow=1, latency_ms=3000)),
        ("latency=250ms@12.5%", FailureMode("latency=250ms@12.5%", slow=0.125, latency_ms=250)),
    ],
)
def test_each_kind(text: str, fault: FailureMode) -> None:
    assert FailureMode.parse(text) == fault


def test_the_same_failure_has_one_name() -> None:
    assert FailureMode.parse("5%") == FailureMode.parse("error-rate=5.0%") == FailureMode.failing(0.05)
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_every_kind_of_failure_counts_as_harmful() -> None:
    assert FailureMode("all", errors=0.1, answered=0.2, slow=0.3).harmful == pytest.approx(0.6)


@pytest.mark.parametrize(
    "text",
    ["", "5", "half", "error-rate=", "error-rate=5%@1%", "answered=3s", "latency=5%", "latency=3h", "latency=3s@"],
)
def test_an_invalid_form_is_reported(text: str) -> None:
    with pytest.raises(RehearsalError, match=r"use a form such as 5%, error-rate=5%") as refusal:
        FailureMode.parse(text)
    assert refusal.value.exit_code == 2


@pytest.mark.parametrize("text", ["0%", "101%", "answered=0%", "latency=3s@200%"])
def test_a_share_is_above_nothing_and_at_most_all(text: str) -> None:
    with pytest.raises(RehearsalError, match="a share must be above 0 and at most 100 %"):
        FailureMode.parse(text)
