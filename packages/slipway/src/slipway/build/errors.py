"""Errors of a build."""

from __future__ import annotations

from slipway.errors import SlipwayError


class BuildError(SlipwayError):
    """The build failed. The message says what is wrong and what to do."""
