"""One measured figure, and its goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure of the benchmark.

    Args:
        name: what was measured.
        value: the figure.
        unit: its unit; `x` for a ratio.
        goal: the most it may be. Default: none, the figure is for information.
        detail: what stands behind it, such as the medians of a ratio.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    detail: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return None if self.goal is None else self.value <= self.goal


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which `percent` of all lie."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
