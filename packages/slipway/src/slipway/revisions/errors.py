"""Errors of synthesising a revision."""

from __future__ import annotations

from slipway.errors import SlipwayError


class SynthesisError(SlipwayError):
    """A revision without an assembly.

    Args:
        message: Says what is wrong and what to do; whatever it names may have line breaks of its own.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
