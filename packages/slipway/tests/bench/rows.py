"""One measurement, and its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measurement of the benchmark.

    Args:
        name: What was measured.
        value: The measured value.
        unit: Its unit; `x` for a ratio.
        goal: Maximum value. Default: none, the value is informational.
        detail: Details, such as the medians of a ratio.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return None if self.goal is None else self.value <= self.goal


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which `percent` of all values are."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
