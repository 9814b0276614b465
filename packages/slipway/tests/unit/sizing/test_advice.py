"""Memory advice for a function, from its reports."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.cost.prices import Price
from slipway.sizing.advice import FEW, HEADROOM, LARGEST, Advice, MemoryVerdict, advise
from slipway.sizing.reports import InvocationReport

PRICE = Price(usd=Decimal("0.0000133334"), unit="GB-second")


def _advise(used: int, size: int, *, reports: int = FEW, billed: float = 100) -> Advice:
    each = InvocationReport(duration=billed, billed=billed, size=size, used=used)
    return advise([each] * reports, size=size, invocations=Decimal(1_000_000), duration=PRICE)


@pytest.mark.parametrize(
    ("used", "size", "verdict", "suggested"),
    [
        (90, 128, MemoryVerdict.FITS, 128),
        (120, 128, MemoryVerdict.MORE, 192),
        (100, 512, MemoryVerdict.LESS, 128),
        (205, 256, MemoryVerdict.MORE, 320),
        (204, 256, MemoryVerdict.FITS, 256),
        (10_240, 10_240, MemoryVerdict.FITS, 10_240),
    ],
)
def test_memory_leaves_headroom(used: int, size: int, verdict: MemoryVerdict, suggested: int) -> None:
    advice = _advise(used, size)
    assert (advice.verdict, advice.suggested) == (verdict, suggested)


def test_few_reports_suggest_nothing() -> None:
    advice = _advise(100, 512, reports=FEW - 1)
    assert (advice.verdict, advice.suggested, advice.lowest) == (MemoryVerdict.FEW, 512, advice.monthly)


def test_no_report_at_all_costs_nothing() -> None:
    advice = advise([], size=256, invocations=Decimal(0), duration=PRICE)
    assert (advice.verdict, advice.used, advice.monthly) == (MemoryVerdict.FEW, 0, Decimal(0))


def test_reports_of_another_size_are_left_out() -> None:
    old = [InvocationReport(duration=1, billed=1, size=1024, used=900)] * FEW
    new = [InvocationReport(duration=1, billed=1, size=512, used=100)] * FEW
    assert advise(old + new, size=512, invocations=Decimal(1), duration=PRICE).used == 100


def test_cost_of_a_million_invocations() -> None:
    # Given 1,000,000 invocations of 100 ms with 512 MB: 50,000 GB-seconds
    advice = _advise(100, 512)
    assert advice.monthly == Decimal("0.0000133334") * 50_000
    # Then a quarter of the memory costs a quarter, or the same if the function takes four times as long
    assert (advice.lowest, advice.highest) == (advice.monthly / 4, advice.monthly)


def test_more_than_one_cpu_does_not_slow_one_thread() -> None:
    # Given a function with two vCPUs for which 1.3 are suggested
    advice = _advise(1_800, 3_538)
    assert advice.suggested == 2_304
    assert advice.lowest == advice.highest == advice.monthly * 2_304 / 3_538


@given(used=st.integers(1, LARGEST), size=st.integers(128, LARGEST))
def test_a_suggestion_covers_the_used_memory(used: int, size: int) -> None:
    advice = _advise(min(used, size), size)
    assert advice.suggested >= min(LARGEST, min(used, size) * HEADROOM) or advice.suggested == size == LARGEST
    assert advice.lowest <= advice.highest


def test_percentiles_are_of_durations() -> None:
    reports = [InvocationReport(duration=number, billed=number, size=128, used=50) for number in range(1, 101)]
    advice = advise(reports, size=128, invocations=Decimal(100), duration=PRICE)
    assert (round(advice.p50), round(advice.p95)) == (50, 95)
