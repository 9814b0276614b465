"""Requests as they are sent."""

from __future__ import annotations

from slipway.emulator.partition.requests import Request


def request(
    *, method: str = "POST", path: bytes = b"/", query: bytes = b"", body: bytes = b"", **headers: str
) -> Request:
    """A request; `_` in a header's name stands for `-`."""
    sent = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return Request(method, path, query, sent, body)
