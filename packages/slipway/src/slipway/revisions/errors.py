"""Errors of synthesising a revision."""

from __future__ import annotations

from slipway.errors import SlipwayError


class SynthesisError(SlipwayError):
    """A revision without an assembly.

    Args:
        message: What is wrong and what to do. Line breaks in quoted names are removed.
    """

    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
