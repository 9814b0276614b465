"""Find what in parsed JSON could not be returned as it was sent, each fault with its path."""

from decimal import Decimal
from typing import Any, Final

from slipway_runtime.exact_json import MAX_DEPTH, fault_of
from slipway_runtime.problems import MAX_ERRORS, pointer

_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels"


def faults(value: Any, *path: str) -> list[tuple[str, str]]:
    """Return the faults in a value: the JSON pointer of each from the document's root, and a sentence.

    Faults beyond the reporting limit are only counted, without their paths.

    Args:
        value: A member of the document, parsed by `exact_json.loads`.
        path: Path of that member.
    """
    found = _Faults(path)
    found.look_at(value, 1)
    return found.named


class _Faults:
    """A walk through a value. The current position becomes a pointer only if something is wrong."""

    def __init__(self, path: tuple[str, ...]) -> None:
        self._path: list[str | int] = list(path)
        self.named: list[tuple[str, str]] = []

    def look_at(self, value: Any, depth: int) -> None:
        """Check a value and everything within it."""
        kind = type(value)
        if kind is dict or kind is list:
            if depth > MAX_DEPTH:
                self._name(_TOO_DEEP)
            else:
                self._look_within(value, depth)
        elif kind is str or kind is Decimal:
            self._name(fault_of(value))

    def _look_within(self, value: dict[str, Any] | list[Any], depth: int) -> None:
        for part, member in value.items() if isinstance(value, dict) else enumerate(value):
            self._path.append(part)
            if isinstance(part, str) and (reason := fault_of(part)):
                self._name(f"its key {reason}")
            self.look_at(member, depth + 1)
            self._path.pop()

    def _name(self, reason: str | None) -> None:
        if reason:
            place = pointer(*self._path) if len(self.named) < MAX_ERRORS else ""
            self.named.append((place, reason))
