"""The one error of this package."""

from __future__ import annotations

from slipway.errors import SlipwayError


class SupplyError(SlipwayError):
    """A step cannot check its input. The message is one line that says what to do."""

    exit_code = 2
