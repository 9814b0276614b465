"""Checks by the type of resource that they look at."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gates.review.assembly import Json
from gates.review.findings import Finding
from gates.review.matching import Matching
from gates.review.resources import Pair, Resource
from gates.review.values import readable

_LONGEST = 200

ANY = "*"
"""For checks that look at every type."""


@dataclass(frozen=True)
class Context:
    """What a check may want to know besides the resource itself.

    Args:
        matching: all resources.
        rename: writes references to what was renamed as they were.
    """

    matching: Matching
    rename: Callable[[str], str]


Check = Callable[[Pair, Context], Iterator[Finding]]
_Check = TypeVar("_Check", bound=Check)

_CHECKS: Final[defaultdict[str, list[Check]]] = defaultdict(list)


def on(*types: str) -> Callable[[_Check], _Check]:
    """Register a check for resources of some types; it meets those that come and go too."""

    def register(check: _Check) -> _Check:
        for resource_type in types:
            _CHECKS[resource_type].append(check)
        return check

    return register


def checked(pair: Pair, context: Context) -> Iterator[Finding]:
    """What the checks say of a resource."""
    if pair.before is pair.after:
        return
    for check in (*_CHECKS[pair.type], *_CHECKS[ANY]):
        yield from check(pair, context)


def both(pair: Pair) -> tuple[Resource, Resource] | None:
    """The resource before and after, where it is there both times."""
    return (pair.before, pair.after) if pair.before is not None and pair.after is not None else None


def truth(value: Json) -> bool:
    """Whether a value is true, written in either way."""
    return value is True or (isinstance(value, str) and value.lower() in {"true", "enabled", "active", "on"})


def number(value: Json) -> float | None:
    """A number, written in either way; None where there is none that is known."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def listed(value: Json) -> list[Json]:
    """A list, or one value as a list of it."""
    return value if isinstance(value, list) else [] if value is None else [value]


def fields(value: Json) -> Mapping[str, Any]:
    """An object's members; none where the value is no object."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Json) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [item for item in listed(value) if isinstance(item, Mapping)]


def words(value: Json) -> frozenset[str]:
    """The texts in a list."""
    return frozenset(str(item) for item in listed(value))


def shown(value: Json) -> str:
    """A value as people read it: short, and with its references as they are written in code."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list() | Mapping():
            text = json.dumps(value, ensure_ascii=False)
        case _:
            text = str(value)
    text = readable(text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
