"""Answer the four questions of every change per resource type, and report changes without an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from slipway.review.assembly import Json
from slipway.review.builds import is_publisher
from slipway.review.checks.registry import ANY, CheckContext, is_judged, number, on, shown, truth
from slipway.review.destinations import Destinations
from slipway.review.effects import CUSTOM
from slipway.review.findings import ChangeFinding, Severity, found
from slipway.review.iam.policies import SAYS_WHO
from slipway.review.iam.roles import holds_role
from slipway.review.questions import EVERYWHERE, Setting, When, answers_of
from slipway.review.resources import Difference, Pair, ReviewedResource, leaves, value_at
from slipway.review.schemas import matches, schema
from slipway.review.stateful import ADDRESSED, STATEFUL
from slipway.review.values import readable

_DESTINATION: Final = "destination-changed"

_FUNCTION: Final = "AWS::Lambda::Function"
_ROLE = re.compile(r"arn:[\w-]+:(?:iam|sts)::")


@on(ANY, judges=lambda _: False)
def answer(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Yield findings on the effects of a resource's change on data, service and monitoring."""
    if pair.after is None:
        yield from _removed(pair, context)
    elif pair.before is None:
        yield from _foreign(pair.after, _added(pair.after), context)
    else:
        yield from _changed(pair, pair.after, context)


def _removed(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    resource = pair.any
    known = answers_of(resource.type)
    if is_publisher(resource):
        # These change with each asset; a missing publisher is reported with the pipeline.
        return
    if resource.type == _FUNCTION and _only_provides(resource, context):
        # The resources that it provided for are reported separately.
        return
    if known is None:
        # A resource that contains data, or has an address, is reported by its content.
        if resource.type not in STATEFUL and resource.type not in ADDRESSED:
            yield found("unjudged", resource, f"{resource.type} is removed", detail="removed")
    elif not isinstance(known.removed, str):
        removal = known.removed
        what = f"{resource.type} is removed: {removal.says}"
        yield found(removal.kind, resource, what, severity=removal.severity, detail="removed")


def _only_provides(function: ReviewedResource, context: CheckContext) -> bool:
    """Return True if a function only served custom resources that are deleted with it, as CDK's own providers do."""
    before, after = context.matching.before, context.matching.after
    served = [
        one
        for one in before.resources.values()
        if any(
            reference.stack == function.stack.key and reference.logical_id == function.logical_id
            for reference in one.references
        )
    ]
    return bool(served) and all(
        one.type.startswith(CUSTOM) and one.place not in after.resources for one in served if one is not function
    )


def _added(resource: ReviewedResource) -> tuple[Difference, ...]:
    return tuple(leaves(Difference((), None, resource.properties)))


def _changed(pair: Pair, after: ReviewedResource, context: CheckContext) -> Iterator[ChangeFinding]:
    answers = answers_of(pair.type)
    told: dict[tuple[Setting, tuple[str, ...]], Difference] = {}
    unknown: list[Difference] = []
    for leaf in pair.settings:
        if pair.renamed and leaf.path[-1].endswith("Name") and _is_replacing(pair, leaf.path):
            # A different logical id creates a new resource anyway.
            continue
        asked = [setting for setting in (answers.settings if answers else ()) if matches(setting.path, leaf.path)]
        for setting in asked:
            place = leaf.path[: len(setting.path)]
            told.setdefault((setting, place), _whole(pair, place, leaf))
        if not asked and not _is_answered(pair, leaf.path):
            unknown.append(leaf)
    for (setting, _), change in told.items():
        if any(_does_harm(when, change, context) for when in setting.when):
            yield _told(pair, after, setting, change, context)
    yield from _foreign(after, pair.settings, context)
    if unknown:
        names = dict.fromkeys(leaf.name for leaf in unknown)
        what = f"{', '.join(map(readable, list(names)[:5]))} of {pair.type} changes"
        lines = tuple(f"{leaf.name}: {shown(leaf.before)} becomes {shown(leaf.after)}" for leaf in unknown)
        yield found("unjudged", after, what, details=lines, detail=unknown[0].name)


def _whole(pair: Pair, place: tuple[str, ...], leaf: Difference) -> Difference:
    """Return the whole change at a place that contains a changed leaf."""
    if place == leaf.path or pair.before is None or pair.after is None:
        return leaf
    return Difference(place, value_at(pair.before.properties, place), value_at(pair.after.properties, place))


def _is_answered(pair: Pair, path: tuple[str, ...]) -> bool:
    """Return True if a setting is checked elsewhere, or is known to be harmless."""
    return (
        is_harmless(pair.type, path)
        or path[0] in SAYS_WHO.get(pair.type, ())
        or is_judged(pair.type, path)
        or _is_replacing(pair, path)
        or any(
            holds_role(path, value_at(side.properties, path))
            or any(place.split(".")[1:2] == [path[0]] or not place for place in side.documents)
            for side in (pair.before, pair.after)
            if side is not None
        )
    )


def is_harmless(resource_type: str, path: tuple[str, ...]) -> bool:
    """Return True if a change of a setting is known to be harmless; the type's answers give the reason."""
    known = answers_of(resource_type)
    return path[0] in EVERYWHERE or any(
        matches(pattern, path) for pattern in _patterns(tuple(known.harmless) if known else ())
    )


@cache
def _patterns(paths: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(path.split("/")) for path in paths)


def _is_replacing(pair: Pair, path: tuple[str, ...]) -> bool:
    """Return True if a change of the setting replaces the resource, which is reported separately."""
    rules = schema(pair.type, pair.any.stack.key.region)
    if rules is None or not rules.updatable or pair.type.startswith(CUSTOM):
        return True
    return any(matches(fixed, path) for fixed in (*rules.create_only, *rules.maybe_create_only))


def _does_harm(when: When, change: Difference, context: CheckContext) -> bool:
    old, new = change.before, change.after
    nothing: tuple[Json, ...] = (None, "", [])
    if isinstance(new, str) and old == context.rename(new):
        return False
    match when:
        case When.GOES:
            return old not in nothing and new in nothing
        case When.COMES:
            return old in nothing and new not in nothing
        case When.CHANGES:
            return old not in nothing and new not in nothing and old != new
        case When.FALLS:
            return _is_less(new, old)
        case When.RISES:
            return _is_less(old, new)
        case When.OFF:
            return truth(old) and not truth(new)
        case When.ON:
            return not truth(old) and truth(new)


def _is_less(one: Json, other: Json) -> bool:
    """Return True if one figure is lower than another, or if that is unknown."""
    if one is None or other is None:
        return False
    low, high = number(one), number(other)
    return low < high if low is not None and high is not None else one != other


def _told(
    pair: Pair, after: ReviewedResource, setting: Setting, change: Difference, context: CheckContext
) -> ChangeFinding:
    old, new = change.before, change.after
    if new is None:
        what = f"{change.name} is removed; it was {shown(old)}"
    elif old is None:
        what = f"{change.name} is {shown(new)}"
    else:
        what = f"{change.name} is {shown(new)} instead of {shown(old)}"
    severity = setting.severity
    if setting.kind == _DESTINATION and severity is None:
        severity = Destinations(context.matching).grade(old, new)
    if setting.kind == "runtime-changed" and severity is None and not pair.new_code and new is None:
        # The deployed code still reads the removed value.
        severity = Severity.HIGH
    return found(setting.kind, after, f"{readable(what)}: {setting.says}", severity=severity, detail=change.name)


def _foreign(
    resource: ReviewedResource, changes: tuple[Difference, ...], context: CheckContext
) -> Iterator[ChangeFinding]:
    """Yield references to resources in foreign accounts, which receive data or decide what runs."""
    policies = [place.split(".")[1:2] for place in resource.documents]
    answers = answers_of(resource.type)
    destinations = Destinations(context.matching)
    for leaf in changes:
        if not isinstance(leaf.after, str) or _ROLE.search(leaf.after) or [leaf.path[0]] in policies:
            continue
        strangers = destinations.strangers(leaf.after) - destinations.strangers(str(leaf.before or ""))
        graded = leaf.before is not None and any(
            setting.kind == _DESTINATION and matches(setting.path, leaf.path)
            for setting in (answers.settings if answers else ())
        )
        if strangers and not graded and not any(place == [] for place in policies):
            # Packages from a foreign account run here as code; AWS publishes some from its own accounts.
            severity = Severity.HIGH if "Layers" in leaf.path else Severity.CRITICAL
            what = f"{leaf.name} names the account {', '.join(sorted(strangers))}: {shown(leaf.after)}"
            yield found(_DESTINATION, resource, what, severity=severity, detail=leaf.name)
