"""Check that an alarm that guards a deployment can trigger while the deployment lasts.

Other rules detect a removed alarm; this one detects an ineffective one. `make detectability` says which failures a
canary detects, and how reliably; this rule only asks if a version of which *every* invocation fails is detected at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from slipway.rules.model import Found, Resource, Rule, Templates
from slipway.settings.shifts import MINUTE, Shift

_COUNTED: Final = frozenset({"Sum", "SampleCount"})
_UPWARD: Final = frozenset({"GreaterThanThreshold", "GreaterThanOrEqualToThreshold"})
_ARITHMETIC: Final = re.compile(r"[*/+-]")
_DIGEST: Final = re.compile(r"[0-9A-F]{8}$")

NEVER: Final = 0.001
"""Probability per deployment below which a guard counts as never triggering."""

METRIC_DELAY: Final = 1
"""Minutes until a minute's metrics are available, as `make detectability` assumes."""

DEFAULT_TIMEOUT: Final = 3
"""Lambda's default time-out, seconds (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""


@dataclass(frozen=True)
class _Canary:
    """The traffic shift of a deployment.

    Args:
        share: Largest share of the new version before it has all traffic.
        minutes: Minutes until it has all traffic.
    """

    share: float
    minutes: float


def _unreachable(templates: Templates) -> Iterator[Found]:
    for alias in templates.of_type("AWS::Lambda::Alias"):
        update = (alias.body.get("UpdatePolicy") or {}).get("CodeDeployLambdaAliasUpdate") or {}
        for group in templates.referred(alias.stack, update.get("DeploymentGroupName")):
            canary = _canary(templates, group)
            # All at once, or an unknown configuration: no alarm has time to trigger.
            if canary is None:
                continue
            for alarm in templates.referred(group.stack, group.get("AlarmConfiguration", "Alarms")):
                if alarm.type == "AWS::CloudWatch::Alarm" and _never(templates, alias, alarm, canary):
                    yield Found(alarm.stack, alarm.logical_id)


def _canary(templates: Templates, group: Resource) -> _Canary | None:
    named = group.get("DeploymentConfigName")
    own = next(iter(templates.referred(group.stack, named)), None)
    try:
        shift = Shift.named(str(named)) if own is None else Shift.of_template(own.body.get("Properties") or {})
    except (TypeError, ValueError):
        return None
    if not shift.full_after:
        return None
    return _Canary(share=shift.steps[-2][1], minutes=shift.full_after / MINUTE)


def _never(templates: Templates, alias: Resource, alarm: Resource, canary: _Canary) -> bool:
    threshold = _number(alarm.get("Threshold"))
    watched = _watched(alarm)
    if threshold is None or watched is None or alarm.get("ComparisonOperator") not in _UPWARD:
        return False
    points = _number(alarm.get("DatapointsToAlarm")) or _number(alarm.get("EvaluationPeriods")) or 1
    minutes = watched.period / 60
    if points * minutes + METRIC_DELAY > canary.minutes:
        return True
    strict = alarm.get("ComparisonOperator") == "GreaterThanThreshold"
    if watched.statistic in _COUNTED:
        rate = _rate(templates, alias)
        if rate is None:
            return False
        mean = rate * watched.period * (canary.share if watched.of_version else 1)
        least = math.floor(threshold) + 1 if strict else math.ceil(threshold)
        return _at_least(least, mean) * canary.minutes / minutes < NEVER
    if watched.metric == "Duration":
        function = next(iter(templates.referred(alias.stack, alias.get("FunctionName"))), None)
        timeout = _number(function.get("Timeout")) if function is not None else None
        longest = (timeout or DEFAULT_TIMEOUT) * 1000
        return threshold >= longest if strict else threshold > longest
    return False


@dataclass(frozen=True)
class _Watched:
    """The metric that an alarm watches.

    Args:
        metric: Its name.
        statistic: `Sum`, `p99`, …
        period: Period, seconds.
        of_version: True if it only counts the new version.
    """

    metric: str
    statistic: str
    period: float
    of_version: bool


def _watched(alarm: Resource) -> _Watched | None:
    """Return the metric that an alarm watches; None if it cannot be reduced to one, such as a ratio."""
    queries = alarm.get("Metrics")
    if not isinstance(queries, list):
        statistic = str(alarm.get("Statistic") or alarm.get("ExtendedStatistic"))
        period = _number(alarm.get("Period")) or 60
        return _Watched(str(alarm.get("MetricName")), statistic, period, _is_of_version(alarm.get("Dimensions")))
    expressions = [str(query["Expression"]) for query in queries if "Expression" in query]
    stats: list[Mapping[str, Any]] = [query["MetricStat"] for query in queries if "MetricStat" in query]
    periods = {_number(stat.get("Period")) for stat in stats}
    if (
        any(map(_ARITHMETIC.search, expressions))
        or {stat.get("Stat") for stat in stats} != {"Sum"}
        or len(periods) != 1
    ):
        return None
    of_version = any(_is_of_version(stat.get("Metric", {}).get("Dimensions")) for stat in stats)
    return _Watched("", "Sum", periods.pop() or 60, of_version)


def _is_of_version(dimensions: Any) -> bool:
    return any("version" in str(one.get("Name")).lower() for one in dimensions or () if isinstance(one, dict))


def _rate(templates: Templates, alias: Resource) -> float | None:
    """Return the configured invocations per second of an alias's function; None without a configuration."""
    for function in templates.referred(alias.stack, alias.get("FunctionName")):
        return alias.stack.rate(_DIGEST.sub("", function.logical_id).removesuffix("Function").lower())
    return None


def _at_least(count: int, mean: float) -> float:
    """Return the probability of at least that many invocations if they arrive at random."""
    if count <= 0:
        return 1.0
    term = math.exp(-mean)
    below = term
    for number in range(1, count):
        term *= mean / number
        below += term
    # With a mean so large that the first term vanishes, all but the far end is likely.
    return max(0.0, 1 - below) if math.exp(-mean) > 0 else float(count < mean + 6 * math.sqrt(mean))


def _number(value: Any) -> float | None:
    try:
        return None if value is None or isinstance(value, bool | dict | list) else float(value)
    except (TypeError, ValueError):
        return None


RULES = (
    Rule(
        name="GuardReachable",
        says="An alarm of a deployment group can never trigger during the canary: its threshold is above what the "
        "new version's share of the configured traffic can reach or above the time-out, or it takes longer than "
        "the canary.",
        fix="Lower the threshold, or give the canary more traffic or time; `make detectability` shows what it detects.",
        check=_unreachable,
    ),
)
