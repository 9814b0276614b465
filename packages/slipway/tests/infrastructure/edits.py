"""Change every setting of a template in every way, one at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from slipway.review.assembly import Assembly, ReviewedStack

Json = Any
Way = tuple[str | int, ...]
"""Names and positions that lead to a setting."""

_WORDS = (
    "DISABLED",
    "Disabled",
    "OFF",
    "none",
    "all",
    "INACTIVE",
    "Suspended",
    "allow-all",
    "PassThrough",
    "ENABLED",
    "*",
    "breaching",
    "aws:kms",
    "AWS_IAM",
)
"""Values that enable or disable, open or close something, in AWS's notations."""


def places(value: Json, way: Way = ()) -> Iterator[tuple[Way, Json]]:
    """Yield every setting; an intrinsic function counts as one, and so does a policy."""
    is_function = isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))
    is_policy = isinstance(value, dict) and isinstance(value.get("Statement"), list)
    if isinstance(value, dict) and value and not is_function and not is_policy:
        for key, inner in value.items():
            yield from places(inner, (*way, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from places(inner, (*way, index))
    else:
        yield way, value


def general(way: Way) -> tuple[str, ...]:
    """Return a path with `*` for items of lists, which is the same setting for each item."""
    return tuple("*" if isinstance(part, int) else part for part in way)


def edits(properties: Mapping[str, Json], way: Way) -> Iterator[Json]:
    """Yield properties with one setting changed: other value, deleted, its block deleted, an additional item."""
    for value in _others(_at(properties, way)):
        yield _with(properties, way, value)
    for length in range(len(way), 0, -1):
        yield _without(properties, way[:length])
    positions = [index for index, part in enumerate(way) if isinstance(part, int)]
    if positions:
        items = _at(properties, way[: positions[-1]])
        yield _with(properties, way[: positions[-1]], [*items, _another(items[0])])


def _others(value: Json) -> Iterator[Json]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value * 10 + 10, value / 10, 0)
        case str():
            yield from (f"{value}x", *(word for word in _WORDS if word != value))
            if value.replace(".", "").isdigit():
                yield from (float(value) * 10, float(value) / 10)
        case {"Statement": [*statements]}:
            everything = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}
            yield from ({**value, "Statement": [*statements, everything]}, {**value, "Statement": statements[1:]})
        case _:
            yield "another"


def _another(item: Json) -> Json:
    if not isinstance(item, dict):
        return "another"
    name = next((key for key, value in item.items() if isinstance(value, str)), None)
    return {**copy.deepcopy(item), **({name: "another"} if name else {})}


def _at(value: Json, way: Way) -> Json:
    for part in way:
        value = value[part]
    return value


def _with(properties: Mapping[str, Json], way: Way, value: Json) -> Json:
    changed = copy.deepcopy(dict(properties))
    _at(changed, way[:-1])[way[-1]] = value
    return changed


def _without(properties: Mapping[str, Json], way: Way) -> Json:
    changed = copy.deepcopy(dict(properties))
    del _at(changed, way[:-1])[way[-1]]
    return changed


def around(stack: ReviewedStack, logical_id: str) -> ReviewedStack:
    """Return a stack with only one resource, those that it refers to, and those that refer to it."""
    resources = stack.resources
    named = _named(resources[logical_id])
    near = {
        name: resource
        for name, resource in resources.items()
        if name == logical_id or name in named or logical_id in _named(resource)
    }
    sections = {name: content for name, content in stack.template.items() if name != "Outputs"}
    return replace(stack, template={**sections, "Resources": near})


def _named(value: Json) -> set[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return {name}
        case dict():
            return set().union(*map(_named, value.values()))
        case list():
            return set().union(*map(_named, value))
    return set()


def edited(stack: ReviewedStack, logical_id: str, resource: Json | None) -> Assembly:
    """Return an assembly of one stack, one resource of which is changed or deleted."""
    resources = {**stack.resources}
    if resource is None:
        del resources[logical_id]
    else:
        resources[logical_id] = resource
    return Assembly(stacks=(replace(stack, template={**stack.template, "Resources": resources}),))
