"""Recognise errors caused by a full disk."""

from __future__ import annotations

import errno
from collections.abc import Iterable

FULL = "No space left on device"
"""Message of every program for a full disk (`strerror(ENOSPC)`)."""


def full(lines: Iterable[str]) -> str | None:
    """Return an error message from the first line that reports a full disk; None if no line does.

    Args:
        lines: Lines of a log.
    """
    found = next((line.strip() for line in lines if FULL in line), None)
    return None if found is None else f"the disk is full: {found}"


def said(error: OSError) -> str:
    """Return an error of the operating system as one line.

    Args:
        error: The error.
    """
    return f"the disk is full: {error}" if error.errno == errno.ENOSPC else f"this machine refused: {error}"
