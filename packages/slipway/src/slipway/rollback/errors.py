"""Errors of `slipway rollback`."""

from __future__ import annotations

from slipway.errors import SlipwayError


class RollbackError(SlipwayError):
    """The rollback failed or is incomplete. The message says why and what to do.

    Args:
        message: One line, without a trace.
        exit_code: 2 for wrong input, 1 for any other failure.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        self.exit_code = exit_code
        super().__init__(message)
