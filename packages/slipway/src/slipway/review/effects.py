"""Predict CloudFormation's action on each resource: none, an update in place, or a replacement.

A replacement propagates: a resource that uses an attribute of a replaced one gets a new value, and if that property
cannot be changed in place, the resource is replaced as well. References are followed across stacks: they are weak, so a
later stack reads the new value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from slipway.review.assembly import Json
from slipway.review.matching import Matching
from slipway.review.resources import Pair, ResourceKey, ReviewedResource, differences
from slipway.review.schemas import Schema, is_set, schema, values_at
from slipway.review.values import VERSION_OF, Reference, references


class Effect(IntEnum):
    """The predicted action on a resource that exists before and after."""

    UNCHANGED = 0
    CODE = 1
    """Its asset changes, but nothing else."""
    UPDATED = 2
    MAY_BE_REPLACED = 3
    REPLACED = 4


@dataclass(frozen=True)
class PlannedUpdate:
    """The predicted action on a resource, and why.

    Args:
        effect: Predicted action.
        causes: The properties, or the resources that they refer to, that cause the replacement.
    """

    effect: Effect
    causes: tuple[str, ...] = ()


_UNCHANGED = PlannedUpdate(Effect.UNCHANGED)

DRIVEN: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("AWS::DynamoDB::Table", "StreamArn"): ("StreamSpecification",),
    ("AWS::DynamoDB::GlobalTable", "StreamArn"): ("StreamSpecification",),
}
"""Attributes that change in place, and the properties that they change with."""

# A resource's identifiers stay the same until it is replaced, and so do the attributes that contain them.
_NAMES = ("Arn", "Id", "Name")
CUSTOM: Final = ("Custom::", "AWS::CloudFormation::CustomResource")
"""Prefixes of custom types, whose handler alone determines the effect of a change."""


def effects(matching: Matching) -> Mapping[ResourceKey, PlannedUpdate]:
    """Return the predicted action on every resource that exists before and after, by its key.

    Args:
        matching: The matched resources of both assemblies.
    """
    found = {pair.any.place: _direct(pair) for pair in matching.kept}
    pairs = {pair.any.place: pair for pair in matching.kept}
    waiting = [place for place, outcome in found.items() if outcome.effect >= Effect.UPDATED]
    if not waiting:
        return found
    takers = _takers(matching)
    while waiting:
        place = waiting.pop()
        for taker, reference in takers.get(place, ()):
            following = _passed_on(pairs[place], found[place], taker, reference)
            if following is None:
                continue
            there = taker.any.place
            if following.effect > found[there].effect:
                found[there] = following
                waiting.append(there)
            elif following.effect == found[there].effect and found[there].causes:
                causes = dict.fromkeys((*found[there].causes, *following.causes))
                found[there] = PlannedUpdate(following.effect, tuple(causes))
    return found


def _takers(matching: Matching) -> Mapping[ResourceKey, list[tuple[Pair, Reference]]]:
    takers: defaultdict[ResourceKey, list[tuple[Pair, Reference]]] = defaultdict(list)
    for pair in matching.kept:
        if pair.after is not None:
            for reference in pair.after.references:
                place = ResourceKey(reference.stack, reference.logical_id.removesuffix(VERSION_OF))
                takers[place].append((pair, reference))
    return takers


def _direct(pair: Pair) -> PlannedUpdate:
    """Return the action on a resource that results from its own changes."""
    before, after = pair.before, pair.after
    if before is None or after is None or before is after:
        return _UNCHANGED
    if not pair.differences:
        if pair.other_changes:
            return PlannedUpdate(Effect.UPDATED)
        return PlannedUpdate(Effect.CODE) if pair.new_code else _UNCHANGED
    rules = schema(after.type, after.stack.key.region)
    if rules is None:
        return PlannedUpdate(Effect.MAY_BE_REPLACED, (f"the registry has no schema of {after.type}",))
    if replaced := tuple(_changed(before, after, rules.create_only)):
        return PlannedUpdate(Effect.REPLACED, replaced)
    if not rules.updatable:
        return PlannedUpdate(Effect.REPLACED, ("the type has no update",))
    if maybe := (*_changed(before, after, rules.maybe_create_only), *_special(before, after)):
        return PlannedUpdate(Effect.MAY_BE_REPLACED, maybe)
    if after.type.startswith(CUSTOM):
        return PlannedUpdate(Effect.MAY_BE_REPLACED, ("its handler decides, by the physical id that it returns",))
    return PlannedUpdate(Effect.UPDATED)


def _changed(before: ReviewedResource, after: ReviewedResource, paths: Sequence[tuple[str, ...]]) -> Iterator[str]:
    rules = schema(after.type, after.stack.key.region)
    tells = is_set(after.type, rules)
    for path in paths:
        ones, others = (_plain(values_at(side.properties, path)) for side in (before, after))
        if ones == others:
            continue
        # The items on a path have no order, but a list at its end may have one.
        if any(differences(ones, others, is_set=lambda place: not place or tells((*path, *place[1:])))):  # noqa: B023
            yield ".".join(path)


def _plain(value: Json) -> Json:
    """Return a value in the form that CloudFormation compares: 60 is "60", and true is "true"."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list():
            return [_plain(inner) for inner in value]
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
    return value


def _special(before: ReviewedResource, after: ReviewedResource) -> Iterator[str]:
    if after.type == "AWS::DynamoDB::Table":
        # "Replacement if you edit an existing AttributeDefinition"; an additional one comes with an additional index.
        ones, others = (
            {
                str(entry.get("AttributeName")): entry.get("AttributeType")
                for entry in side.entries("AttributeDefinitions")
            }
            for side in (before, after)
        )
        if any(ones[name] != others[name] for name in ones.keys() & others.keys()):
            yield "AttributeDefinitions"


def _passed_on(source: Pair, outcome: PlannedUpdate, taker: Pair, reference: Reference) -> PlannedUpdate | None:
    """Return the action that results from a change of a used attribute; None if there is no effect."""
    if source.any.place == taker.any.place or taker.after is None:
        return None
    # An alias is meant to follow every new version.
    moves = not reference.logical_id.endswith(VERSION_OF) and _moves(source, reference.attribute)
    if outcome.effect == Effect.UPDATED and not moves:
        return None
    rules = schema(taker.type, taker.after.stack.key.region)
    cause = f"{source.any.path} is {'' if outcome.effect == Effect.REPLACED else 'possibly '}replaced"
    if outcome.effect == Effect.UPDATED:
        cause = f"{source.any.path}.{reference.attribute} changes"
    fixed = rules is None or any(
        reference in references(values_at(taker.after.properties, path)) for path in rules.create_only
    )
    maybe = rules is not None and any(
        reference in references(values_at(taker.after.properties, path)) for path in rules.maybe_create_only
    )
    if fixed and rules is not None and outcome.effect == Effect.REPLACED:
        return PlannedUpdate(Effect.REPLACED, (cause,))
    if fixed or maybe or taker.type.startswith(CUSTOM) or (rules is not None and not rules.updatable):
        return PlannedUpdate(Effect.MAY_BE_REPLACED, (cause,))
    return PlannedUpdate(Effect.UPDATED, (cause,))


def _moves(pair: Pair, attribute: str) -> bool:
    """Return True if an attribute may change although its resource stays."""
    changed = {difference.path[0] for difference in pair.differences}
    driven = DRIVEN.get((pair.type, attribute))
    if driven is not None:
        return bool(changed & set(driven))
    rules = schema(pair.type, pair.any.stack.key.region)
    if attribute == "Ref" or attribute.endswith(_NAMES) or (rules and attribute in rules.identifiers):
        return False
    return bool(changed)


def fixed_names(pair: Pair, is_replaced: Callable[[Reference], bool]) -> tuple[str, ...]:
    """Return the unchanged names that prevent an old and a new resource from coexisting.

    CloudFormation creates the new one before it deletes the old one, so the deployment fails.

    Args:
        pair: The replaced resource.
        is_replaced: Returns True if the resource of a reference is replaced as well, so that the name changes with it.
    """
    before, after = pair.before, pair.after
    rules = schema(pair.type, pair.any.stack.key.region)
    if before is None or after is None or rules is None or rules.deletes_first:
        return ()
    names = _naming(pair.type, rules)
    for name in names:
        value = after.get(name)
        if value is None or _plain(value) != _plain(before.get(name)) or any(map(is_replaced, references(value))):
            return ()
    return tuple(names)


def _naming(resource_type: str, rules: Schema) -> list[str]:
    """Return the properties that together form a resource's name."""
    written = sorted(rules.identifiers - rules.attributes)
    if written and not rules.identifiers & rules.attributes:
        return written
    own = {"Name", f"{resource_type.rpartition('::')[2]}Name"}
    return [path[0] for path in rules.create_only if len(path) == 1 and path[0] in own][:1]
