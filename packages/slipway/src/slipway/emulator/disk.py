"""A full disk, called one wherever it shows."""

from __future__ import annotations

import errno
from collections.abc import Iterable

FULL = "No space left on device"
"""Message of every program for a full disk (`strerror(ENOSPC)`)."""


def full(lines: Iterable[str]) -> str | None:
    """Return the first line that speaks of a full disk, said as one; None where none does.

    Args:
        lines: Of a log.
    """
    found = next((line.strip() for line in lines if FULL in line), None)
    return None if found is None else f"the disk is full: {found}"


def said(error: OSError) -> str:
    """Return what this machine refused, in one line.

    Args:
        error: Its refusal.
    """
    return f"the disk is full: {error}" if error.errno == errno.ENOSPC else f"this machine refused: {error}"
