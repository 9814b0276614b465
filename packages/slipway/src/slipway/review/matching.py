"""Match the resources of two assemblies: by logical id, and renamed ones by similarity."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from slipway.review.assembly import Json, ReviewedStack, StackKey
from slipway.review.patterns import REFERENCE
from slipway.review.resources import Pair, ResourceKey, ReviewedResource, Side
from slipway.review.values import VERSIONED, references

ALIKE = 0.75
"""Share of settings that two resources of a type must have in common to count as renamed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Matching:
    """Correspondence between the resources of two assemblies.

    Args:
        before: The deployed resources.
        after: The new resources.
        kept: Resources that exist before and after, with the same logical id and type.
        renamed: Resources that move to a different logical id or stack.
        added: New resources.
        removed: Removed resources, without those of a stack that is no longer deployed.
        retyped: Resources whose type changes under the same logical id.
        versions: Versions of functions and deployments of APIs, which each change creates anew.
        added_stacks: New stacks.
        removed_stacks: Stacks that are no longer deployed; CDK Pipelines deletes none.
    """

    before: Side
    after: Side
    kept: tuple[Pair, ...]
    renamed: tuple[Pair, ...]
    added: tuple[Pair, ...]
    removed: tuple[Pair, ...]
    retyped: tuple[Pair, ...]
    versions: tuple[Pair, ...]
    added_stacks: tuple[ReviewedStack, ...]
    removed_stacks: tuple[ReviewedStack, ...]

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Every resource, versions apart."""
        return (*self.kept, *self.renamed, *self.added, *self.removed, *self.retyped)

    @cached_property
    def former(self) -> Mapping[ResourceKey, ResourceKey]:
        """Return the former key of each renamed resource, by its present key."""
        return {pair.after.place: pair.before.place for pair in self.renamed if pair.after and pair.before}


def match(before: Side, after: Side) -> Matching:
    """Match the resources of two assemblies.

    Args:
        before: The deployed resources.
        after: The new resources.
    """
    known, coming = before.assembly.by_key, after.assembly.by_key
    # A removed nested stack is deleted with its contents when its parent is updated.
    removed_stacks = [stack for stack in before.assembly.stacks if stack.key not in coming and stack.parent is None]
    left = {stack.key for stack in removed_stacks}
    dead = {stack.key for stack in before.assembly.stacks if before.assembly.outermost(stack).key in left}
    kept: list[Pair] = []
    retyped: list[Pair] = []
    gone: list[ReviewedResource] = []
    for place, resource in before.resources.items():
        twin = after.resources.get(place)
        if twin is None:
            gone += [] if place.stack in dead else [resource]
        elif twin.type == resource.type:
            kept.append(Pair(before=resource, after=twin))
        else:
            retyped.append(Pair(before=resource, after=twin))
    come = [resource for place, resource in after.resources.items() if place not in before.resources]

    versions = list(_versions(gone, come))
    gone, come = _without(gone, come, versions)
    renamed = list(_renamed(gone, come, before, after))
    gone, come = _without(gone, come, renamed)
    return Matching(
        before=before,
        after=after,
        kept=tuple(kept),
        renamed=tuple(renamed),
        added=tuple(Pair(after=resource) for resource in come),
        removed=tuple(Pair(before=resource) for resource in gone),
        retyped=tuple(retyped),
        versions=tuple(versions),
        added_stacks=tuple(stack for stack in after.assembly.stacks if stack.key not in known),
        removed_stacks=tuple(removed_stacks),
    )


def _without(
    gone: list[ReviewedResource], come: list[ReviewedResource], pairs: Iterable[Pair]
) -> tuple[list[ReviewedResource], list[ReviewedResource]]:
    matched = {id(resource) for pair in pairs for resource in (pair.before, pair.after)}
    return [one for one in gone if id(one) not in matched], [one for one in come if id(one) not in matched]


def _versions(gone: Iterable[ReviewedResource], come: Iterable[ReviewedResource]) -> Iterator[Pair]:
    """Yield pairs of an old and a new version of the same thing."""

    def owner(resource: ReviewedResource) -> str | None:
        of = VERSIONED.get(resource.type)
        return f"{resource.type} {json.dumps(resource.get(of), sort_keys=True)}" if of else None

    old = {key: resource for resource in gone if (key := owner(resource))}
    for resource in come:
        key = owner(resource)
        if key and key in old:
            yield Pair(before=old.pop(key), after=resource, renamed=True)


def _renamed(gone: list[ReviewedResource], come: list[ReviewedResource], before: Side, after: Side) -> Iterator[Pair]:
    """Yield pairs that are similar enough, the closest first; within a stack before within an environment."""
    coming: defaultdict[str, list[ReviewedResource]] = defaultdict(list)
    for resource in come:
        coming[resource.type].append(resource)
    candidates = []
    # Read once each, because every removed resource is compared with every new one of its type.
    forms = {id(new): _form(new, after) for new in come if new.type not in VERSIONED} if gone else {}
    for old in gone:
        ones = _form(old, before) if coming[old.type] and old.type not in VERSIONED else frozenset()
        for new in coming[old.type]:
            if not _near(old.stack.key, new.stack.key) or old.type in VERSIONED:
                continue
            others = forms[id(new)]
            alike = len(ones & others) / len(ones | others) if ones | others else 1.0
            if alike >= ALIKE:
                same_stack = old.stack.key == new.stack.key
                names = SequenceMatcher(None, old.path, new.path, autojunk=False).ratio()
                candidates.append(((same_stack, alike, names), old, new))
    candidates.sort(key=lambda found: (found[0], found[1].place, found[2].place), reverse=True)
    taken: set[int] = set()
    for _, old, new in candidates:
        if id(old) not in taken and id(new) not in taken:
            taken |= {id(old), id(new)}
            yield Pair(before=old, after=new, renamed=True)


def _near(one: StackKey, other: StackKey) -> bool:
    return (one.account, one.region) == (other.account, other.region)


def _form(resource: ReviewedResource, side: Side) -> frozenset[str]:
    """Return a resource's settings, with references replaced by types: the referenced one may be renamed too."""
    return frozenset(_settings(resource.properties, side, ""))


def _settings(value: Json, side: Side, path: str) -> Iterator[str]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _settings(inner, side, f"{path}.{key}")
        case list():
            for inner in value:
                yield from _settings(inner, side, f"{path}[]")
        case str():
            for reference in references(value):
                target = side.of(reference)
                value = value.replace(str(reference), f"<{target.type if target else ''}.{reference.attribute}>")
            yield f"{path}={REFERENCE.sub('<>', value)}"
        case _:
            yield f"{path}={value}"
