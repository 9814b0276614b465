"""What is said of a revision that cannot be synthesised."""

from __future__ import annotations

from slipway.errors import SlipwayError


class SynthesisError(SlipwayError):
    """A revision has no assembly.

    Args:
        message: says what is wrong and what to do; whatever it names may have line breaks of its own.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
