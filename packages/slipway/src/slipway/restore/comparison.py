"""Compare the present data with the restored data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHOWN = 20
"""The most names that are kept of each kind of difference."""


@dataclass(frozen=True)
class RestoredCopy:
    """A table or bucket that was restored, compared with the present one.

    Attributes:
        source: Name of the present one.
        copy: Name of the restored one.
        present: Items or objects that there are now.
        restored: Those that were restored.
        added: Those of now that were not there then: how many, and the first of them.
        removed: Those of then that are not there now.
        changed: Those that are others now.
        seconds: How long restoring took, and comparing.
    """

    source: str
    copy: str
    present: int
    restored: int
    added: tuple[int, tuple[str, ...]]
    removed: tuple[int, tuple[str, ...]]
    changed: tuple[int, tuple[str, ...]]
    seconds: tuple[float, float]

    def lines(self) -> Iterable[str]:
        """Yield what is said of it."""
        yield f"{self.source} → {self.copy}"
        restored, compared = self.seconds
        yield f"  {self.present} now, {self.restored} then; restored in {restored:.1f} s, compared in {compared:.1f} s"
        for what, (number, names) in (
            ("added since", self.added),
            ("removed since", self.removed),
            ("changed since", self.changed),
        ):
            if number:
                more = f", and {number - len(names)} more" if number > len(names) else ""
                yield f"  {number} {what}: {', '.join(names)}{more}"


def compare_contents(present: Mapping[str, str], restored: Mapping[str, str]) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Compare what is there now with what was restored.

    Args:
        present: Name of an item or object → what tells its content from another.
        restored: The same of the restored ones.
    """
    kinds = {
        "added": present.keys() - restored.keys(),
        "removed": restored.keys() - present.keys(),
        "changed": {name for name in present.keys() & restored.keys() if present[name] != restored[name]},
    }
    return {kind: (len(names), tuple(sorted(names)[:SHOWN])) for kind, names in kinds.items()}
