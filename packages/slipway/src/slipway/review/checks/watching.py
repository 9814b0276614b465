"""Check alarms and their recipients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from slipway.review.checks.registry import CheckContext, both, number, on, shown, truth, words
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.resources import Pair, ResourceKey, ReviewedResource, Side
from slipway.review.values import Reference, readable, texts

_WATCHED: Final = (
    "MetricName",
    "Namespace",
    "Statistic",
    "ExtendedStatistic",
    "Dimensions",
    "Metrics",
    "Unit",
    "ThresholdMetricId",
    "AlarmRule",
)
"""Properties that identify an alarm: with other values it is a different alarm."""

_MISSING: Final = ("breaching", "missing", "ignore", "notBreaching")
"""Treatments of missing data, the strictest first."""

_UPWARD: Final = {"GreaterThanThreshold": 1, "GreaterThanOrEqualToThreshold": 0}
_DOWNWARD: Final = {"LessThanThreshold": 1, "LessThanOrEqualToThreshold": 0}
"""Operators by direction, the stricter one with the smaller number."""


_ALARMS: Final = ("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")


@on(
    *_ALARMS,
    "AWS::CloudWatch::AnomalyDetector",
    judges=" ".join(
        (
            *_WATCHED,
            "ActionsEnabled AlarmActions ComparisonOperator DatapointsToAlarm EvaluationPeriods Period Threshold",
            "TreatMissingData",
        )
    ),
)
def alarm(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check for alarms that are removed, trigger later, or no longer notify anybody."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        what = f"the alarm on {before.get('MetricName') or 'several metrics'} is removed"
        yield found("alarm-removed", before, what)
        return
    if before is None or after is None:
        return
    # Without a rollback that depends on it, it only delays a notification.
    rolls_back = after.place in guards(context.matching.after) or before.place in guards(context.matching.before)
    for name, why in _looser(before, after, context):
        severity = Severity.HIGH if rolls_back else None
        what = f"{why}; it rolls back new versions" if rolls_back else why
        yield found("alarm-loosened", after, what, severity=severity, detail=name)
    if truth(before.get("ActionsEnabled", True)) and not truth(after.get("ActionsEnabled", True)):
        yield found("alarm-silenced", after, "its actions are disabled", detail="ActionsEnabled")
    left = set(map(context.rename, words(after.get("AlarmActions"))))
    if dropped := sorted(map(readable, words(before.get("AlarmActions")) - left)):
        severity = None if not left else Severity.MEDIUM
        yield found("alarm-silenced", after, f"it no longer calls {', '.join(dropped)}", severity=severity)


@lru_cache(maxsize=4)
def guards(side: Side) -> frozenset[ResourceKey]:
    """Return the alarms that trigger a rollback or stop a stage.

    A deployment group or a condition of a stage names them; the components of a composite alarm count as well.
    """
    named: set[str] = set()
    for group in side.by_type.get("AWS::CodeDeploy::DeploymentGroup", ()):
        named |= {str(one.get("Name")) for one in group.entries("AlarmConfiguration.Alarms")}
    for pipeline in side.by_type.get("AWS::CodePipeline::Pipeline", ()):
        for stage in pipeline.entries("Stages"):
            for part in ("BeforeEntry", "OnSuccess", "OnFailure"):
                named |= set(texts(stage.get(part)))
    for environment in side.by_type.get("AWS::AppConfig::Environment", ()):
        named |= {str(one.get("AlarmArn")) for one in environment.entries("Monitors")}
    for alias in side.by_type.get("AWS::Lambda::Alias", ()):
        named |= set(texts(alias.update_policy))
    alarms = [alarm for kind in _ALARMS for alarm in side.by_type.get(kind, ())]
    found_ones: set[ResourceKey] = set()
    waiting = [alarm for alarm in alarms if _is_named(alarm, named)]
    while waiting:
        alarm = waiting.pop()
        if alarm.place not in found_ones:
            found_ones.add(alarm.place)
            rule = {str(alarm.get("AlarmRule", ""))}
            waiting += [part for part in alarms if rule != {""} and _is_named(part, rule)]
    return frozenset(found_ones)


def _is_named(alarm: ReviewedResource, places: Iterable[str]) -> bool:
    own = {str(Reference(alarm.stack.key, alarm.logical_id, attribute)) for attribute in ("Ref", "Arn")}
    if isinstance(name := alarm.get("AlarmName"), str):
        own.add(name)
    return any(name in text for text in places for name in own)


def _looser(before: ReviewedResource, after: ReviewedResource, context: CheckContext) -> Iterator[tuple[str, str]]:
    for name in _WATCHED:
        old, new = before.get(name), after.get(name)
        if old != new and str(old) != context.rename(str(new)):
            yield name, f"it watches a different {name}: {shown(old)} becomes {shown(new)}"
    old_way, new_way = (str(side.get("ComparisonOperator")) for side in (before, after))
    old_limit, new_limit = (number(side.get("Threshold")) for side in (before, after))
    way = next((order for order in (_UPWARD, _DOWNWARD) if old_way in order), None)
    if old_way != new_way and (way is None or new_way not in way or way[new_way] > way[old_way]):
        yield "ComparisonOperator", f"it compares by {new_way} instead of {old_way}"
    if before.get("Threshold") != after.get("Threshold"):
        higher = old_limit is not None and new_limit is not None and new_limit > old_limit
        known = old_limit is not None and new_limit is not None and way is not None
        if not known or (higher if way is _UPWARD else not higher):
            yield (
                "Threshold",
                f"its threshold goes from {shown(before.get('Threshold'))} to {shown(after.get('Threshold'))}",
            )
    old_period, new_period = (number(side.get("Period")) for side in (before, after))
    counts = str(after.get("Statistic")) in _COUNTING and way is _UPWARD
    if (
        old_period is not None
        and new_period is not None
        and (new_period > old_period or (counts and new_period < old_period))
    ):
        yield "Period", f"its period goes from {shown(old_period)} s to {shown(new_period)} s"
    yield from _datapoints(before, after)
    old_missing, new_missing = (str(side.get("TreatMissingData", "missing")) for side in (before, after))
    if (
        old_missing in _MISSING
        and new_missing in _MISSING
        and _MISSING.index(new_missing) > _MISSING.index(old_missing)
    ):
        yield "TreatMissingData", f"missing data goes from {old_missing} to {new_missing}"


def _datapoints(before: ReviewedResource, after: ReviewedResource) -> Iterator[tuple[str, str]]:
    """Yield changes of M of N: more points that must breach, or fewer points to choose from, make it slower."""
    of = [number(side.get("EvaluationPeriods")) for side in (before, after)]
    wanted = [number(side.get("DatapointsToAlarm", side.get("EvaluationPeriods"))) for side in (before, after)]
    if None in of or None in wanted:
        return
    old, new = f"{shown(wanted[0])} of {shown(of[0])}", f"{shown(wanted[1])} of {shown(of[1])}"
    if wanted[1] > wanted[0] or of[1] < of[0]:  # type: ignore[operator]
        yield "DatapointsToAlarm", f"it triggers after {new} periods instead of {old}"


_COUNTING: Final = frozenset({"SampleCount", "Sum"})
"""Statistics that are lower in a shorter period, so that a threshold is reached later."""


@on("AWS::SNS::Subscription", judges="Endpoint FilterPolicy")
def subscription(pair: Pair, _: CheckContext) -> Iterator[ChangeFinding]:
    """Check for recipients that are no longer notified."""
    before, after = pair.before, pair.after
    if before is not None and (after is None or before.get("Endpoint") != after.get("Endpoint")):
        who = f"{before.get('Protocol')} {shown(before.get('Endpoint'))}"
        now = f"; {shown(after.get('Endpoint'))} is notified instead" if after is not None else ""
        yield found("subscriber-removed", before, f"{who} is no longer notified{now}")
    elif before is not None and after is not None and after.get("FilterPolicy") != before.get("FilterPolicy"):
        yield found("subscriber-removed", after, "its messages change", severity=Severity.LOW, detail="FilterPolicy")


@on("AWS::Events::Rule", "AWS::Scheduler::Schedule", judges="EventPattern State Targets/*/Arn Targets/*/Id")
def rule(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Check for events that no longer reach anybody."""
    before, after = pair.before, pair.after
    if before is not None and after is None:
        yield found("subscriber-removed", before, "the rule and its targets are removed")
        return
    if not (sides := both(pair)):
        return
    before, after = sides
    if before.get("State", "ENABLED") != "DISABLED" and after.get("State") == "DISABLED":
        yield found("subscriber-removed", after, "the rule is disabled", detail="State")
    targets = {str(one.get("Arn")) for one in before.entries("Targets")}
    left = {context.rename(str(one.get("Arn"))) for one in after.entries("Targets")}
    if dropped := sorted(map(readable, targets - left)):
        yield found("subscriber-removed", after, f"it no longer calls {', '.join(dropped)}", detail="Targets")
    old, new = before.get("EventPattern"), after.get("EventPattern")
    if old is not None and old != new:
        yield found(
            "subscriber-removed", after, "it matches different events", severity=Severity.LOW, detail="EventPattern"
        )
