"""What is wrong for the user, in one line."""

from __future__ import annotations

from pydantic import ValidationError

from slipway.errors import SlipwayError


class EvidenceError(SlipwayError):
    """What the page is made from cannot be used; the message is one line that names the file."""

    exit_code = 2


def first(error: ValidationError) -> str:
    """The first fault of some data, in one line: its place, and what is wrong there."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    message = " ".join(detail["msg"].removeprefix("Value error, ").split())
    return f"{place}: {message}" if place else message
