"""What a review says of input that it cannot use."""

from __future__ import annotations

from slipway.errors import SlipwayError


class ReviewError(SlipwayError):
    """There is nothing to review, or it cannot be trusted.

    Args:
        message: says in one line what is wrong and what to do; whatever it names may have line breaks of its own.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
