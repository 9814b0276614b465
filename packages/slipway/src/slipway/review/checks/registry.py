"""Registry of checks by resource type."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from slipway.review.assembly import Json
from slipway.review.findings import ChangeFinding
from slipway.review.matching import Matching
from slipway.review.resources import Pair, ReviewedResource
from slipway.review.schemas import matches
from slipway.review.values import readable

_LONGEST = 200

ANY = "*"
"""Matches every resource type."""


@dataclass(frozen=True)
class CheckContext:
    """Information for a check besides the resource itself.

    Args:
        matching: All resources.
        rename: Restores the former names in references to renamed resources.
        protected: Types that a stack policy protects from deletion.
    """

    matching: Matching
    rename: Callable[[str], str]
    protected: frozenset[str] = frozenset()


Check = Callable[[Pair, CheckContext], Iterator[ChangeFinding]]
_Check = TypeVar("_Check", bound=Check)

Judges = Callable[[tuple[str, ...]], bool]
"""Decides if a check covers the setting at a path."""

_CHECKS: Final[defaultdict[str, list[Check]]] = defaultdict(list)
_JUDGES: Final[defaultdict[str, list[Judges]]] = defaultdict(list)


def on(*types: str, judges: str | Judges = "") -> Callable[[_Check], _Check]:
    """Register a check for resources of some types, including created and deleted ones.

    Args:
        types: `AWS::S3::Bucket`, …; `ANY` for all.
        judges: The settings that the check covers: paths separated by spaces, with `/` between names and `*` for any
            name or item, or a function of a path. Settings that no check covers are `unjudged`. Default: none; the
            check only looks at whether a resource is added, removed or changed.
    """

    def register(check: _Check) -> _Check:
        for resource_type in types:
            _CHECKS[resource_type].append(check)
            _JUDGES[resource_type].append(_under(judges) if isinstance(judges, str) else judges)
        return check

    return register


def _under(paths: str) -> Judges:
    patterns = tuple(tuple(path.split("/")) for path in paths.split())
    return lambda path: any(matches(pattern, path) for pattern in patterns)


def is_judged(resource_type: str, path: tuple[str, ...]) -> bool:
    """Return True if a check covers the setting of a type."""
    return any(judges(path) for judges in (*_JUDGES[resource_type], *_JUDGES[ANY]))


def checked(pair: Pair, context: CheckContext) -> Iterator[ChangeFinding]:
    """Yield the findings of all checks on a resource."""
    if pair.before is pair.after:
        return
    for check in (*_CHECKS[pair.type], *_CHECKS[ANY]):
        yield from check(pair, context)


def both(pair: Pair) -> tuple[ReviewedResource, ReviewedResource] | None:
    """Return the resource before and after; None unless it exists both times."""
    return (pair.before, pair.after) if pair.before is not None and pair.after is not None else None


def truth(value: Json) -> bool:
    """Return True if a value is true, as a boolean or as text."""
    return value is True or (isinstance(value, str) and value.lower() in {"true", "enabled", "active", "on"})


def number(value: Json) -> float | None:
    """Return a number, also from text; None without one, or if it is unknown."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None
    except ValueError:
        return None


def listed(value: Json) -> list[Json]:
    """Return a list; a single value becomes a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def fields(value: Json) -> Mapping[str, Any]:
    """Return an object's members; an empty mapping for any other value."""
    return value if isinstance(value, Mapping) else {}


def objects(value: Json) -> list[Mapping[str, Any]]:
    """Return the objects in a list."""
    return [item for item in listed(value) if isinstance(item, Mapping)]


def words(value: Json) -> frozenset[str]:
    """Return the texts in a list."""
    return frozenset(str(item) for item in listed(value))


def shown(value: Json) -> str:
    """Return a value for people: short, with references as they are written in code."""
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
