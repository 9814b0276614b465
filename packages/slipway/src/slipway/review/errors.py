"""Errors of the review's input."""

from __future__ import annotations

from slipway.errors import SlipwayError


class ReviewError(SlipwayError):
    """Nothing to review, or input that cannot be trusted.

    Args:
        message: Says in one line what is wrong and what to do; whatever it names may have line breaks of its own.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
