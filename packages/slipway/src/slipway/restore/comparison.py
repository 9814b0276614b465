"""Compare the current data with the restored data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHOWN = 20
"""Maximum number of names that are kept per kind of difference."""


@dataclass(frozen=True)
class RestoredCopy:
    """A restored table or bucket, compared with the current one.

    Attributes:
        source: Name of the current one.
        copy: Name of the restored one.
        present: Number of current items or objects.
        restored: Number of restored ones.
        added: Number and first names of those that did not exist then.
        removed: Number and first names of those that no longer exist.
        changed: Number and first names of those that have changed since.
        seconds: Duration of the restore and of the comparison.
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
        """Yield its description, line by line."""
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
    """Compare the current data with the restored data.

    Args:
        present: Name of a current item or object → digest of its content.
        restored: Name of a restored item or object → digest of its content.
    """
    kinds = {
        "added": present.keys() - restored.keys(),
        "removed": restored.keys() - present.keys(),
        "changed": {name for name in present.keys() & restored.keys() if present[name] != restored[name]},
    }
    return {kind: (len(names), tuple(sorted(names)[:SHOWN])) for kind, names in kinds.items()}
