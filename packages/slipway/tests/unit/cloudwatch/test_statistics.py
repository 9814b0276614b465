"""Each statistic computes what its definition says."""

from __future__ import annotations

import pytest

from slipway.cloudwatch import Metric, MetricStore, Statistic
from slipway.cloudwatch.statistics import percentile

HUNDRED = [(float(value), 1.0) for value in range(1, 101)]
"""1 to 100, once each."""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SampleCount", 100),
        ("Sum", 5050),
        ("Average", 50.5),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 50),
        ("p99", 99),
        ("p99.9", 100),
        ("p99.99", 100),
        ("p100", 100),
        ("p0", 1),
        ("P90", 90),
        # The mean without the highest tenth: of 1 to 90
        ("tm90", 45.5),
        ("TM(10%:)", 55.5),
        # Of 3 to 98
        ("TM(2%:98%)", 50.5),
        # More than 10 and at most 20
        ("TM(10:20)", 15.5),
        ("IQM", 50.5),
        ("tc90", 90),
        ("TC(10:20)", 10),
        ("ts90", 4095),
        ("TS(80%:)", 1810),
        # The highest two count as 98; in the next, also the lowest ten as 10
        ("wm98", 50.47),
        ("WM(10%:90%)", 50.4),
        ("WM(10:20)", 18.55),
        ("PR(:30)", 30),
        ("PR(10:30)", 20),
        ("PR(99.5:)", 1),
    ],
)
def test_statistics_of_one_to_a_hundred(name: str, value: float) -> None:
    assert Statistic.parse(name).of(HUNDRED) == pytest.approx(value)


def test_a_trimmed_count_may_be_a_fraction() -> None:
    # Given ten samples, when a quarter is trimmed, then half a sample is counted
    assert Statistic.parse("tc75").of(HUNDRED[:10]) == 7.5
    assert Statistic.parse("tm75").of(HUNDRED[:10]) == pytest.approx((28 + 0.5 * 8) / 7.5)


def test_a_trimmed_sum_is_the_mean_by_the_count() -> None:
    # Given the page's definition: TS is TM times TC
    for bounds in ("90", "33.3"):
        mean, count, total = (Statistic.parse(f"{kind}{bounds}").of(HUNDRED) for kind in ("tm", "tc", "ts"))
        assert mean is not None
        assert count is not None
        assert total == pytest.approx(mean * count)


def test_counts_are_samples() -> None:
    # Given one value sampled ninety-nine times, and another sampled once
    samples = [(10.0, 99.0), (500.0, 1.0)]

    assert percentile(samples, 99) == 10
    assert percentile(samples, 99.5) == 500
    assert Statistic.parse("Average").of(samples) == pytest.approx(14.9)
    assert Statistic.parse("SampleCount").of(samples) == 100


def test_p99_of_few_samples_is_the_largest() -> None:
    assert percentile([(1.0, 1.0), (7.0, 1.0), (3.0, 1.0)], 99) == 7


@pytest.mark.parametrize(("percent", "total", "rank"), [(16.1, 1000, 161), (64.9, 1000, 649), (99.9, 1000, 999)])
def test_whole_rank_is_not_missed_by_rounding(percent: float, total: int, rank: int) -> None:
    # Given percentages whose product with the count is slightly above a whole number: 16.1 % of 1000 is 161.00…03
    samples = [(1.0, float(rank)), (9.0, float(total - rank))]
    # When the percentile is computed, then it does not skip to the next sample
    assert percentile(samples, percent) == 1


def test_without_samples_there_is_no_data_point() -> None:
    assert Statistic.parse("Sum").of([]) is None
    # No samples lie between the bounds
    assert Statistic.parse("TM(200:300)").of(HUNDRED) is None
    assert Statistic.parse("TC(200:300)").of(HUNDRED) == 0


@pytest.mark.parametrize(
    ("name", "fewest"),
    [("p99", 1000), ("p50", 20), ("p90", 100), ("p99.9", 10_000), ("p10", 100), ("p49", 1000 / 49), ("Sum", 0),
     ("tm99", 0), ("p100", 0), ("p0", 0)],
)  # fmt: skip
def test_how_many_samples_a_percentile_takes(name: str, fewest: float) -> None:
    # Given the page's formula: 10/(1-percentile) from p50 on, 10/percentile below
    assert Statistic.parse(name).fewest_samples == pytest.approx(fewest)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Median", "unknown statistic 'Median'"),
        ("p101", "percentages are from 0 to 100"),
        ("p", "unknown statistic"),
        ("TM(:)", "one bound or two"),
        ("TM(%:98%)", "one bound or two"),
        ("TM(2%:98)", "both of them percentages or neither"),
        ("TM(98%:2%)", "the lower one first"),
        ("TM(9:2)", "the lower bound comes first"),
        ("PR(10%:20%)", "the bounds of a percentile rank are values"),
        ("PR90", "unknown statistic"),
    ],
)
def test_an_unknown_statistic_is_reported(name: str, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        Statistic.parse(name)
    assert message in str(refusal.value)


# The store


def test_a_period_ends_before_its_end() -> None:
    # Given samples at 0, 60 and 120 s
    store = MetricStore()
    metric = Metric.of("A", "m")
    for at in (120, 0, 60):
        store.put("A", "m", {}, at, at)
    # When a minute is read, then the sample at its end belongs to the next
    total = Statistic.parse("Sum")
    assert store.statistic(metric, total, 60, 120) == 60
    assert store.statistic(metric, total, 0, 121) == 180
    assert store.statistic(metric, total, 200, 300) is None
    assert store.metrics == [metric]


@pytest.mark.parametrize(("value", "count"), [(float("nan"), 1), (float("inf"), 1), (1, -1), (1, float("nan"))])
def test_values_that_are_not_numbers_are_refused(value: float, count: float) -> None:
    with pytest.raises(ValueError, match="is not a valid sample"):
        MetricStore().put("A", "m", {}, value, 0, count=count)


def test_values_need_their_counts() -> None:
    store, metric = MetricStore(), Metric.of("A", "m", {"a": "b"})
    with pytest.raises(ValueError, match=r"A m \(a=b\): 2 values and 1 counts"):
        store.put_values(metric, [1, 2], 0, counts=[1])
    with pytest.raises(ValueError, match="a resolution of 5 s"):
        store.put_values(metric, [1], 0, counts=[1], resolution=5)
    # A value with a count of zero is not stored
    store.put_values(metric, [1, 2], 0, counts=[0, 3])
    assert store.samples(metric, 0, 60) == [(2, 3)]
