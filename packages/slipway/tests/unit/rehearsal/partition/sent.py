"""Requests as they are sent."""

from __future__ import annotations

from slipway.emulator.partition.requests import HttpRequest


def request(
    *, method: str = "POST", path: bytes = b"/", query: bytes = b"", body: bytes = b"", **headers: str
) -> HttpRequest:
    """A request; `_` in a header's name stands for `-`."""
    sent = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return HttpRequest(method, path, query, sent, body)
