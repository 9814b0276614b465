"""Evaluate a metric alarm at a time, by the rules that CloudWatch documents.

- Periods and how often an alarm is evaluated:
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html#alarm-evaluation. The window
  slides: with a period of five minutes, minutes 1 to 5 are judged at the end of minute 5, and 2 to 6 a minute later.
- Missing data points, and when an alarm triggers although there are few:
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html.
- Percentiles of few samples:
  https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html.

Where these pages are silent, this is assumed:

- If fewer data points than evaluation periods exist, and they breach but are too recent to trigger the alarm
  (`- - - - X` for three out of three), it goes to INSUFFICIENT_DATA if missing data is treated as missing, and keeps
  its state if missing data is ignored. The page had this in its tables until 2020, and now says only that the alarm
  does not trigger.
- `EvaluateLowSampleCountPercentile: ignore` keeps the state while any of the judged data points has too few samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from slipway.cloudwatch.alarm import Alarm, AlarmState, MissingData, ThresholdComparison
from slipway.cloudwatch.errors import AlarmError
from slipway.cloudwatch.math_values import MathError
from slipway.cloudwatch.queries import MathQuery, MetricQuery
from slipway.cloudwatch.statistics import Statistic, StatisticKind
from slipway.cloudwatch.store import MetricStore

_SAMPLE_COUNT = Statistic(StatisticKind.SAMPLE_COUNT.value, StatisticKind.SAMPLE_COUNT)

_WORDS = {
    ThresholdComparison.GREATER_OR_EQUAL: "greater than or equal to",
    ThresholdComparison.GREATER: "greater than",
    ThresholdComparison.LESS_OR_EQUAL: "less than or equal to",
    ThresholdComparison.LESS: "less than",
}


class Datapoint(NamedTuple):
    """One period of an alarm's metric.

    Args:
        start: Start of the period, seconds.
        value: Value; None if the data point is missing.
        breaching: True if the value breaches the threshold; None if the data point is missing.
    """

    start: float
    value: float | None
    breaching: bool | None


class Evaluation(NamedTuple):
    """Result of evaluating an alarm.

    Args:
        alarm: The alarm.
        at: Time of the evaluation, seconds.
        state: Its new state.
        previous: Its state before.
        datapoints: The evaluated periods, oldest first: back to the last real data point that counts, or the whole
            evaluation range.
        kept: Why the state did not change, if a rule keeps it; otherwise "".
    """

    alarm: Alarm
    at: float
    state: AlarmState
    previous: AlarmState
    datapoints: tuple[Datapoint, ...]
    kept: str = ""

    @property
    def changed(self) -> bool:
        """Return True if the state changed."""
        return self.state is not self.previous

    @property
    def judged(self) -> tuple[Datapoint, ...]:
        """The real data points that counted, oldest first: the last ones, at most as many as evaluation periods."""
        real = [point for point in self.datapoints if point.value is not None]
        return tuple(real[-self.alarm.evaluation_periods :])

    @property
    def reason(self) -> str:
        """The reason in one line, similar to CloudWatch's."""
        alarm, judged = self.alarm, self.judged
        if self.kept:
            return f"{self.state} as before: {self.kept}"
        if self.state is AlarmState.INSUFFICIENT_DATA:
            return f"{alarm.evaluation_periods - len(judged)} of {alarm.evaluation_periods} data points are unknown"
        breaching = sum(point.breaching or False for point in judged)
        values = ", ".join(f"{point.value:g}" for point in judged)
        found = f"{breaching} of {len(judged)} data points [{values}]" if judged else "no data point"
        text = f"{found} {_WORDS[alarm.comparison]} {alarm.threshold:g}"
        filled = alarm.evaluation_periods - len(judged)
        if filled and alarm.treat_missing_data in {MissingData.BREACHING, MissingData.NOT_BREACHING}:
            text += f", {filled} missing treated as {alarm.treat_missing_data}"
        elif self.state is AlarmState.ALARM and breaching < alarm.datapoints_to_alarm:
            return f"{text}, the oldest at least {alarm.datapoints_to_alarm} periods ago, and every later one breaching"
        return f"{text}; {alarm.datapoints_to_alarm} of {alarm.evaluation_periods} trigger the alarm"


def evaluate(
    alarm: Alarm, store: MetricStore, at: float, previous: AlarmState = AlarmState.INSUFFICIENT_DATA
) -> Evaluation:
    """Evaluate an alarm.

    Call it as often as CloudWatch does, every `alarm.every` seconds, with the previous result's state. In between it
    returns the result of the last full minute (10 seconds, or hour, by the alarm's period): an unfinished period is
    ignored.

    Args:
        alarm: The alarm.
        store: The metrics known at that time.
        at: The time, seconds.
        previous: Its state before. Default: that of a new alarm.

    Raises:
        AlarmError: Its metric math fails on these data.
    """
    end = math.floor(at / alarm.every) * alarm.every
    points = _points(alarm, store, end)
    if alarm.ignore_low_samples and _too_few_samples(alarm, store, points):
        return Evaluation(alarm, at, previous, previous, points, "too few samples for its percentile")
    state = decide(
        [point.breaching for point in points],
        evaluation_periods=alarm.evaluation_periods,
        datapoints_to_alarm=alarm.datapoints_to_alarm,
        treat_missing_data=alarm.treat_missing_data,
    )
    if state is None:
        return Evaluation(alarm, at, previous, previous, points, "missing data is ignored")
    return Evaluation(alarm, at, state, previous, points)


def decide(
    points: Sequence[bool | None],
    *,
    evaluation_periods: int,
    datapoints_to_alarm: int,
    treat_missing_data: MissingData,
) -> AlarmState | None:
    """Return the state that the data points imply.

    Args:
        points: Data points of the evaluation range, oldest first: True if one breaches, None if it is missing. Points
            older than the last N real ones may be omitted.
        evaluation_periods: N.
        datapoints_to_alarm: M.
        treat_missing_data: How missing data points count.

    Returns:
        The state; None if the alarm keeps its state.
    """
    real = [point for point in points if point is not None][-evaluation_periods:]
    breaching = sum(real)
    if len(real) == evaluation_periods or breaching >= datapoints_to_alarm:
        return AlarmState.ALARM if breaching >= datapoints_to_alarm else AlarmState.OK
    match treat_missing_data:
        case MissingData.BREACHING:
            filled = evaluation_periods - len(real)
            return AlarmState.ALARM if breaching + filled >= datapoints_to_alarm else AlarmState.OK
        case MissingData.NOT_BREACHING:
            return AlarmState.OK
    if breaching < len(real):
        return AlarmState.OK
    if treat_missing_data is MissingData.IGNORE:
        return None
    # A premature alarm: nothing but breaching data points, the oldest as old as M periods.
    oldest = next((place for place, point in enumerate(points) if point is not None), len(points))
    return AlarmState.ALARM if len(points) - oldest >= datapoints_to_alarm else AlarmState.INSUFFICIENT_DATA


def _points(alarm: Alarm, store: MetricStore, end: float) -> tuple[Datapoint, ...]:
    """Return data points up to `end`, oldest first, until there are enough real ones or the range is exhausted."""
    period = alarm.period
    if isinstance(alarm.query, MathQuery):
        starts = [end - period * back for back in range(alarm.evaluation_range, 0, -1)]
        try:
            values = alarm.query.points(store, starts)
        except MathError as error:
            raise AlarmError(f"{alarm.name}: {error}") from None
        return _datapoints(alarm, starts, values)
    starts = [end - period * back for back in range(1, alarm.evaluation_range + 1)]
    newest_first = alarm.query.points(store, starts, enough=alarm.evaluation_periods)
    newest_first.reverse()
    return _datapoints(alarm, starts[len(newest_first) - 1 :: -1], newest_first)


def _datapoints(alarm: Alarm, starts: Sequence[float], values: Sequence[float | None]) -> tuple[Datapoint, ...]:
    breaches = alarm.breaches
    return tuple(
        Datapoint(start, value, None if value is None else breaches(value))
        for start, value in zip(starts, values, strict=True)
    )


def _too_few_samples(alarm: Alarm, store: MetricStore, points: Sequence[Datapoint]) -> bool:
    query = alarm.query
    if not isinstance(query, MetricQuery):
        return False
    fewest = query.statistic.fewest_samples
    return any(
        (store.statistic(query.metric, _SAMPLE_COUNT, point.start, point.start + query.period, unit=query.unit) or 0)
        < fewest
        for point in points
        if point.value is not None
    )
