"""Compare what two versions answer to the same reads, so that a wrong answer with status 200 is seen.

A service declares its reads in `hooks.py`. Before traffic moves, the hook sends each read to the version that takes
the traffic, then to the new one, then to the first one again. Where the first version's two answers differ, time or
changing data is the cause, so that place says nothing about the new version. This is the method of Diffy
(https://blog.x.com/engineering/en_us/a/2015/diffy-testing-services-without-writing-tests). Any other difference that is
declared neither volatile nor intended is a wrong answer.

Differences are named by status, content type and JSON pointer, never by value: the log quotes no data.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from slipway_runtime.problems import pointer

ROUNDS: Final = 3
"""How often a read is repeated if its data changes between the requests."""
STATUS: Final = "status"
CONTENT_TYPE: Final = "content-type"
_SHOWN: Final = 5
_MISSING: Final = object()


@dataclass(frozen=True)
class Read:
    """A request that changes nothing, sent to both versions.

    Attributes:
        name: Names it in the log.
        event: The event that the function is invoked with, or a function that makes it if it needs a secret.
        volatile: Places that differ between any two answers, such as a time or an id: JSON pointers in which `*`
            matches any one part. Everything below a place belongs to it.
        shape_only: True if the data differs at each request: names and types are compared, values aren't.
    """

    name: str
    event: Mapping[str, Any] | Callable[[], Mapping[str, Any]]
    volatile: tuple[str, ...] = ()
    shape_only: bool = False


@dataclass(frozen=True)
class Intended:
    """A difference that a change makes on purpose.

    Attributes:
        read: Name of the read.
        path: The place, as in `Read.volatile`; or `status`, or `content-type`.
        because: The reason, for the log.
        until: The last day on which it is accepted. Every environment must have the change by then.
    """

    read: str
    path: str
    because: str
    until: date


class NotComparableError(Exception):
    """The version that takes the traffic itself fails, so nothing can be compared with it. The text quotes no data."""


@dataclass
class Comparison:
    """Result of comparing two versions.

    Attributes:
        same: Names of the reads with the same answers.
        differ: Read → places with a difference that nobody declared.
        intended: Read → places with a declared difference.
        unstable: Reads whose data changed in every round, so that they show nothing.
        skipped: Read → reason why it was not compared.
    """

    same: list[str] = field(default_factory=list)
    differ: dict[str, list[str]] = field(default_factory=dict)
    intended: dict[str, list[str]] = field(default_factory=dict)
    unstable: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def summary(self, reads: int) -> dict[str, Any]:
        """Return the result as one line for the log, with the number of reads compared.

        Args:
            reads: Number of declared reads.
        """
        return {
            "reads": reads,
            "compared": len(self.same) + len(self.differ),
            "same": self.same,
            "differ": self.differ,
            "intended": self.intended,
            "unstable": self.unstable,
            "skipped": self.skipped,
        }


Ask = Callable[[Mapping[str, Any]], Any]
"""Sends an event to a version, and returns its answer."""


def compare(
    reads: Sequence[Read], *, current: Ask, new: Ask, intended: Sequence[Intended] = (), today: date
) -> Comparison:
    """Send each read to both versions, and say where the answers differ.

    Args:
        reads: The reads.
        current: Asks the version that takes the traffic.
        new: Asks the new version.
        intended: Declared differences.
        today: Declared differences whose last day is earlier no longer count.
    """
    found = Comparison()
    for read in reads:
        event = read.event() if callable(read.event) else read.event
        try:
            places = _differences(read, event, current, new)
        except NotComparableError as reason:
            found.skipped[read.name] = str(reason)
            continue
        if places is None:
            found.unstable.append(read.name)
            continue
        declared = [each.path for each in intended if each.read == read.name and today <= each.until]
        meant = sorted(place for place in places if _is_under(place, declared))
        if meant:
            found.intended[read.name] = meant
        if wrong := sorted(places - set(meant)):
            found.differ[read.name] = wrong
        else:
            found.same.append(read.name)
    return found


def _differences(read: Read, event: Mapping[str, Any], current: Ask, new: Ask) -> set[str] | None:
    """Return the places that differ in every round; None if the data changed in every round, which shows nothing.

    Raises:
        NotComparableError: The current version itself fails.
    """
    kept: set[str] | None = None
    for _ in range(ROUNDS):
        before, changed, after = current(event), new(event), current(event)
        for answer in (before, after):
            if _status(answer) >= 500:
                raise NotComparableError(f"the version that takes the traffic itself answers {_status(answer)}")
        sides = [_places(answer, shape_only=read.shape_only) for answer in (before, changed, after)]
        noise = _unlike(sides[0], sides[2])
        found = {
            place
            for place in _unlike(sides[0], sides[1])
            if not _is_under(place, read.volatile) and not _is_under(place, noise)
        }
        if not found:
            return set()
        kept = found if kept is None else kept & found
        if not noise:
            return kept
    return kept or None


def _status(answer: Any) -> int:
    return int(answer["statusCode"]) if isinstance(answer, dict) and "statusCode" in answer else 200


def _places(answer: Any, *, shape_only: bool) -> dict[str, Any]:
    """Return an answer as a value for each place."""
    found: dict[str, Any] = {STATUS: _status(answer)}
    body = answer
    if isinstance(answer, dict) and "statusCode" in answer:
        headers = {**(answer.get("headers") or {}), **(answer.get("multiValueHeaders") or {})}
        types = [value for name, value in headers.items() if name.lower() == CONTENT_TYPE]
        found[CONTENT_TYPE] = [value[0] if isinstance(value, list) else value for value in types]
        body = _parsed(answer.get("body"))
    found.update(_shape(body) if shape_only else _leaves(body))
    return found


def _parsed(body: Any) -> Any:
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return body


def _leaves(value: Any, *path: str | int) -> Iterator[tuple[str, Any]]:
    """Yield each value within a value, with its pointer; an empty object or list is a value too."""
    parts: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)
    if not value or not isinstance(value, dict | list):
        yield pointer(*path), (type(value).__name__, value)
        return
    for name, inner in parts:
        yield from _leaves(inner, *path, name)


def _shape(value: Any) -> dict[str, Any]:
    """Return the types at each place, with `*` for any item of a list."""
    found: dict[str, set[str]] = {}

    def look(value: Any, *path: str) -> None:
        found.setdefault(pointer(*path), set()).add(type(value).__name__)
        if isinstance(value, dict):
            for name, inner in value.items():
                look(inner, *path, name)
        elif isinstance(value, list):
            for inner in value:
                look(inner, *path, "*")

    look(value)
    return {place: sorted(types) for place, types in found.items()}


def _unlike(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """Return the places at which two answers differ."""
    places = one.keys() | other.keys()
    return {
        place
        for place in places
        if one.get(place, _MISSING) != other.get(place, _MISSING) and not _is_of_empty_list(place, one, other)
    }


def _is_of_empty_list(place: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True for the shape of a list's items if one of the answers has no items: their shape is then unknown."""
    head, items, _ = f"{place}/".partition("/*/")
    return bool(items) and any(f"{head}/*" not in side for side in (one, other))


def _is_under(place: str, patterns: Iterable[str]) -> bool:
    return any(_matches(place.split("/"), pattern.split("/")) for pattern in patterns)


def _matches(place: Sequence[str], pattern: Sequence[str]) -> bool:
    return len(pattern) <= len(place) and all(
        wanted in {"*", part} for wanted, part in zip(pattern, place, strict=False)
    )


def described(places: Sequence[str]) -> str:
    """Return places as the log shows them.

    Args:
        places: Places with a difference, found by `compare`.
    """
    shown = ", ".join(place or "the whole body" for place in places[:_SHOWN])
    return shown if len(places) <= _SHOWN else f"{shown} and {len(places) - _SHOWN} more"
