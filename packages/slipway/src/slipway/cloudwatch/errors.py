"""Errors in the definition of an alarm."""

from __future__ import annotations

from slipway.errors import RehearsalError


class AlarmError(RehearsalError):
    """An alarm that CloudWatch would refuse, or that is not evaluated here: one line with alarm, property and value."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)
