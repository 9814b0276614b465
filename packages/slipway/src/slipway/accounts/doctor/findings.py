"""Results of a check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """Outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    """It works, but should be changed."""
    WRONG = "wrong"
    """A delivery fails because of it."""
    UNCHECKED = "not checked"
    """It could not be checked from here, so nothing is known about it."""


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    Attributes:
        area: `configuration`, `versions`, `assets`, `git`, or an account's label.
        check: What was checked.
        status: The outcome.
        found: What was found, in one line.
        fix: How to fix it, in one line; empty when there is nothing to do.
    """

    area: str
    check: str
    status: CheckStatus
    found: str
    fix: str = ""
