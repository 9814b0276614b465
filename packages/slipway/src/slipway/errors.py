"""Errors that a user can cause, reported in one line."""

from __future__ import annotations


class SlipwayError(Exception):
    """An error that the user can fix. Its text is the whole message, printed without a traceback."""

    exit_code = 1
    """2 for wrong input, 1 for a failure while working."""


class UsageError(SlipwayError):
    """Wrong input. The message says what is allowed."""

    exit_code = 2


class RehearsalError(SlipwayError):
    """An error that ends a rehearsal, or a verb of the emulator.

    Args:
        message: One line.
        exit_code: 2 for wrong input, 1 for a failure while working.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(message)
