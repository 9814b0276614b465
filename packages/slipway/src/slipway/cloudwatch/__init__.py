"""CloudWatch's metrics and alarms, in virtual time.

It uses no clock and no network; the caller passes the time:

    store = MetricStore()
    alarm = Alarm.from_template(resolved_properties, name="Errors")
    state = State.INSUFFICIENT_DATA
    store.put("AWS/Lambda", "Errors", {"FunctionName": "api"}, 1, at=125)   # seconds
    found = evaluate(alarm, store, at=180, previous=state)                  # each virtual minute
    state, why = found.state, found.reason

Times are seconds, whole minutes are multiples of 60. The evaluation at 180 judges the data from 120 to 179.
"""

from slipway.cloudwatch.alarm import Alarm, AlarmState, MissingData, ThresholdComparison
from slipway.cloudwatch.composite import CompositeAlarm
from slipway.cloudwatch.errors import AlarmError
from slipway.cloudwatch.evaluation import Datapoint, Evaluation, decide, evaluate
from slipway.cloudwatch.queries import MathQuery, MetricQuery
from slipway.cloudwatch.statistics import Statistic
from slipway.cloudwatch.store import Metric, MetricStore

__all__ = [
    "Alarm",
    "AlarmError",
    "AlarmState",
    "CompositeAlarm",
    "Datapoint",
    "Evaluation",
    "MathQuery",
    "Metric",
    "MetricQuery",
    "MetricStore",
    "MissingData",
    "Statistic",
    "ThresholdComparison",
    "decide",
    "evaluate",
]
