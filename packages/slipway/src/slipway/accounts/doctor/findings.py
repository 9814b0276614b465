"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    """Works, and is not as it should be."""
    WRONG = "wrong"
    """A delivery fails on it."""
    UNCHECKED = "not checked"
    """Could not be seen from here; never to be read as good."""


@dataclass(frozen=True)
class CheckResult:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to: `configuration`, `versions`, `assets`, `git`, or an account's label.
        check: what was looked at.
        status: how it came out.
        found: what was seen, in one line.
        mend: what to do about it, in one line; empty when there is nothing to do.
    """

    area: str
    check: str
    status: CheckStatus
    found: str
    mend: str = ""
