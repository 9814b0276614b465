"""Results of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """Works, and is not as it should be."""
    WRONG = "wrong"
    """A delivery fails on it."""
    UNCHECKED = "not checked"
    """Could not be seen from here; never to be read as good."""


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    Attributes:
        area: What it belongs to: `configuration`, `versions`, `assets`, `git`, or an account's label.
        check: What was looked at.
        status: How it came out.
        found: What was seen, in one line.
        mend: How to fix it, in one line; empty when there is nothing to do.
    """

    area: str
    check: str
    status: CheckStatus
    found: str
    mend: str = ""
