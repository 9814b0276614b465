"""An alarm's evaluation has the order, the symmetry and the bounds implied by CloudWatch's rules, whatever the data."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from slipway.cloudwatch import (
    Alarm,
    AlarmState,
    CompositeAlarm,
    Metric,
    MetricQuery,
    MetricStore,
    MissingData,
    Statistic,
    ThresholdComparison,
    decide,
    evaluate,
)
from slipway.cloudwatch.statistics import percentile

METRIC = Metric.of("Tests", "m")

# From good to bad: a worse data point may only move a state in this direction
RANK = {AlarmState.OK: 0, AlarmState.INSUFFICIENT_DATA: 1, AlarmState.ALARM: 2}

Points = list[float | None]


@st.composite
def alarms(draw: st.DrawFn, *, statistic: str | None = None) -> Alarm:
    """Draw any alarm on one metric."""
    periods = draw(st.integers(1, 6))
    return Alarm(
        name="any",
        query=MetricQuery(
            METRIC,
            Statistic.parse(statistic or draw(st.sampled_from(["Sum", "Average", "Maximum", "p50", "p99", "tm90"]))),
            draw(st.sampled_from([10, 30, 60, 120, 300])),
        ),
        evaluation_periods=periods,
        datapoints_to_alarm=draw(st.integers(1, periods)),
        comparison=draw(st.sampled_from([ThresholdComparison.GREATER, ThresholdComparison.GREATER_OR_EQUAL])),
        threshold=draw(st.integers(0, 10)),
        treat_missing_data=draw(st.sampled_from(MissingData)),
        evaluation_range=periods + draw(st.integers(0, 4)),
    )


values = st.integers(0, 10).map(float)
points_or_none: st.SearchStrategy[Points] = st.lists(st.none() | values, min_size=1, max_size=12)
states = st.sampled_from(AlarmState)


def stored(points: Points, period: int, *, begin: float = 0) -> MetricStore:
    """Return a store with one value per period; None is missing."""
    store = MetricStore()
    for place, point in enumerate(points):
        if point is not None:
            store.put("Tests", "m", {}, point, begin + place * period, resolution=1)
    return store


def state_of(alarm: Alarm, points: Points, previous: AlarmState, *, begin: float = 0) -> AlarmState:
    """Return the state at the end of the points."""
    store = stored(points, alarm.period, begin=begin)
    return evaluate(alarm, store, begin + len(points) * alarm.period, previous).state


@given(alarm=alarms(), points=points_or_none, previous=states, data=st.data())
def test_a_worse_data_point_never_makes_the_state_better(
    alarm: Alarm, points: Points, previous: AlarmState, data: st.DataObject
) -> None:
    # Given data points, and one of them made worse, for an alarm on high values
    there = [place for place, point in enumerate(points) if point is not None]
    assume(there)
    place = data.draw(st.sampled_from(there))
    worse = [*points]
    worse[place] = (points[place] or 0) + data.draw(st.integers(0, 10))
    # When both series are evaluated
    before, after = state_of(alarm, points, previous), state_of(alarm, worse, previous)
    # Then the second state is not better than the first
    assert RANK[after] >= RANK[before]


@given(alarm=alarms(), points=points_or_none, previous=states, days=st.integers(-20_000, 20_000))
def test_only_the_distance_in_time_counts(alarm: Alarm, points: Points, previous: AlarmState, days: int) -> None:
    # Given the same data points at two different times, when both are evaluated, then the states are equal
    assert state_of(alarm, points, previous) is state_of(alarm, points, previous, begin=days * 86_400)


@given(alarm=alarms(statistic="Sum"), points=st.lists(values, min_size=12, max_size=20), previous=states)
def test_m_of_n_counts_if_nothing_is_missing(alarm: Alarm, points: list[float], previous: AlarmState) -> None:
    # Given data points without gaps
    # When the last N breaching ones are counted
    breach = [point >= alarm.threshold for point in points]
    if alarm.comparison is ThresholdComparison.GREATER:
        breach = [point > alarm.threshold for point in points]
    expected = sum(breach[-alarm.evaluation_periods :]) >= alarm.datapoints_to_alarm
    # Then the count determines the state, whatever the previous state and the treatment of missing data
    assert state_of(alarm, [*points], previous) is (AlarmState.ALARM if expected else AlarmState.OK)


@given(
    points=st.lists(st.none() | st.booleans(), max_size=9),
    settings=st.integers(1, 6).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
)
def test_treatments_are_ordered(points: list[bool | None], settings: tuple[int, int]) -> None:
    # Given any data points
    periods, to_alarm = settings
    found = {
        treatment: decide(
            points, evaluation_periods=periods, datapoints_to_alarm=to_alarm, treat_missing_data=treatment
        )
        for treatment in MissingData
    }
    good, bad = found[MissingData.NOT_BREACHING], found[MissingData.BREACHING]
    # When missing data is breaching, the state is at least as bad as when it is not; both treatments always give a
    # state
    assert good is not None
    assert bad is not None
    assert RANK[good] <= RANK[bad]
    # And the other two treatments are between these two
    for treatment in (MissingData.MISSING, MissingData.IGNORE):
        if bad is AlarmState.OK or good is AlarmState.ALARM:
            assert found[treatment] is good
    # And `ignore` gives the same as `missing`, except that it keeps the state instead of leaving OK
    if found[MissingData.IGNORE] is not None:
        assert found[MissingData.IGNORE] is found[MissingData.MISSING]
    else:
        assert found[MissingData.MISSING] is not AlarmState.OK
    # And with enough data points, the treatment does not matter
    if sum(point is not None for point in points) >= periods:
        assert len(set(found.values())) == 1


@given(alarm=alarms(), points=points_or_none, previous=states)
def test_data_older_than_the_range_does_not_matter(alarm: Alarm, points: Points, previous: AlarmState) -> None:
    # Given data points, when those before the evaluation range are removed, then the state stays the same
    recent = [*points]
    recent[: -alarm.evaluation_range] = [None] * len(recent[: -alarm.evaluation_range])

    assert state_of(alarm, points, previous) is state_of(alarm, recent, previous)


@given(alarm=alarms(), points=points_or_none, previous=states)
def test_an_evaluation_reports_its_data_points(alarm: Alarm, points: Points, previous: AlarmState) -> None:
    # Given any alarm, when it is evaluated
    found = evaluate(alarm, stored(points, alarm.period), len(points) * alarm.period, previous)
    # Then its data points are within the range and in order, and the ones that count are the last real ones
    assert len(found.datapoints) <= alarm.evaluation_range
    assert [point.start for point in found.datapoints] == sorted(point.start for point in found.datapoints)
    assert all((point.value is None) == (point.breaching is None) for point in found.datapoints)
    assert len(found.judged) <= alarm.evaluation_periods
    assert "\n" not in found.reason
    assert found.reason
    assert found.changed == (found.state is not previous)


samples = st.lists(st.tuples(st.integers(-100, 100).map(float), st.integers(1, 50)), min_size=1, max_size=20)


@given(
    samples=st.lists(st.tuples(st.integers(0, 600), st.integers(-5, 5).map(float), st.integers(1, 4)), max_size=20),
    data=st.data(),
)
def test_the_order_of_puts_does_not_matter(samples: list[tuple[int, float, int]], data: st.DataObject) -> None:
    # Given samples, put in two different orders
    one, other = MetricStore(), MetricStore()
    for at, value, count in samples:
        one.put("Tests", "m", {}, value, at, count=count)
    for at, value, count in data.draw(st.permutations(samples)):
        other.put("Tests", "m", {}, value, at, count=count)
    # When any minute is read, then both stores return the same
    for start in range(0, 660, 60):
        assert Counter(one.samples(METRIC, start, start + 60)) == Counter(other.samples(METRIC, start, start + 60))
        for name in ("Sum", "p50", "tm90"):
            statistic = Statistic.parse(name)
            assert one.statistic(METRIC, statistic, start, start + 60) == other.statistic(
                METRIC, statistic, start, start + 60
            )


@given(samples=samples, percent=st.integers(0, 1000).map(lambda tenths: tenths / 10))
def test_a_percentile_is_the_sample_of_its_rank(samples: list[tuple[float, float]], percent: float) -> None:
    # Given all samples in order, each repeated by its count
    written_out = sorted(value for value, count in samples for _ in range(int(count)))
    # When the rank is computed in tenths of a percent, which is exact
    rank = max(math.ceil(round(percent * 10) * len(written_out) / 1000), 1)
    # Then the percentile is the sample at that rank, between the smallest and the largest
    found = percentile(samples, percent)
    assert found == written_out[rank - 1]
    assert written_out[0] <= found <= written_out[-1]


@given(
    samples=samples,
    bounds=st.tuples(st.integers(0, 99), st.integers(1, 100)).filter(lambda pair: pair[0] < pair[1]),
)
def test_trimmed_statistics_are_bounded(samples: list[tuple[float, float]], bounds: tuple[int, int]) -> None:
    # Given samples and bounds in percent
    low, high = bounds
    mean, count, total, winsorized = (
        Statistic.parse(f"{kind}({low}%:{high}%)").of(samples) for kind in ("TM", "TC", "TS", "WM")
    )
    assert mean is not None
    assert count is not None
    assert winsorized is not None
    # When they are trimmed, then the trimmed and the winsorized mean are within the percentiles at the bounds
    everything = sum(seen for _, seen in samples)
    slack = 1e-9 * 100
    assert percentile(samples, low) - slack <= mean <= percentile(samples, high) + slack
    assert percentile(samples, low) - slack <= winsorized <= percentile(samples, high) + slack
    # And the count is what the bounds leave
    assert math.isclose(count, everything * (high - low) / 100, rel_tol=1e-9)
    assert total is not None
    assert math.isclose(total, mean * count, rel_tol=1e-9, abs_tol=1e-9)


@given(samples=samples, low=st.integers(-100, 100), width=st.integers(0, 100))
def test_a_percentile_rank_is_a_share(samples: list[tuple[float, float]], low: int, width: int) -> None:
    # Given samples, when those above one bound and up to another are counted
    written_out = [value for value, count in samples for _ in range(int(count))]
    share = 100 * sum(low < value <= low + width for value in written_out) / len(written_out)
    # Then their share is the percentile rank
    found = Statistic.parse(f"PR({low}:{low + width})").of(samples)
    assert found is not None
    assert math.isclose(found, share, abs_tol=1e-9)


NAMES = ("a", "b", "c")


@st.composite
def rules(draw: st.DrawFn, depth: int = 3) -> str:
    """Draw a composite alarm's rule that becomes valid Python once its conditions are replaced."""
    kinds = ["condition", "TRUE", "FALSE"] + (["NOT", "AND", "OR"] if depth else [])
    match draw(st.sampled_from(kinds)):
        case "condition":
            return f"{draw(st.sampled_from(AlarmState))}({draw(st.sampled_from(NAMES))})"
        case "NOT":
            return f"NOT {draw(rules(depth - 1))}" if draw(st.booleans()) else f"NOT ({draw(rules(depth - 1))})"
        case ("AND" | "OR") as operator:
            whole = f"{draw(rules(depth - 1))} {operator} {draw(rules(depth - 1))}"
            return f"({whole})" if draw(st.booleans()) else whole
        case constant:
            return constant


@given(rule=rules(), found=st.fixed_dictionaries(dict.fromkeys(NAMES, states)))
def test_a_composite_rule_evaluates_as_in_python(rule: str, found: dict[str, AlarmState]) -> None:
    # Given a rule translated to Python, whose NOT, AND and OR have the same precedence
    text = rule
    for name in NAMES:
        for state in AlarmState:
            text = text.replace(f"{state}({name})", str(found[name] is state))
    text = text.replace("TRUE", "True").replace("FALSE", "False")
    for operator in ("NOT", "AND", "OR"):
        text = text.replace(operator, operator.lower())
    # When both are evaluated, then they agree
    expected = eval(text, {"__builtins__": {}})  # noqa: S307  # nosec B307  # drawn above
    composite = CompositeAlarm.from_template({"AlarmRule": rule})
    assert composite.evaluate(found) is (AlarmState.ALARM if expected else AlarmState.OK)
