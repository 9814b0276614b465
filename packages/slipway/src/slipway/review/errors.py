"""Errors of the review's input."""

from __future__ import annotations

from slipway.errors import SlipwayError


class ReviewError(SlipwayError):
    """There is nothing to review, or the input cannot be trusted.

    Args:
        message: What is wrong and what to do, in one line. Line breaks in quoted names are removed.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
