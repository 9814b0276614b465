"""Errors of the evidence page, reported in one line."""

from __future__ import annotations

from pydantic import ValidationError

from slipway.errors import SlipwayError


class EvidenceError(SlipwayError):
    """An unusable input of the page. The message is one line that names the file."""

    exit_code = 2


def first(error: ValidationError) -> str:
    """Return the first validation error of some data, in one line: where, and what is wrong."""
    detail = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in detail["loc"])
    message = " ".join(detail["msg"].removeprefix("Value error, ").split())
    return f"{place}: {message}" if place else message
