"""Requests to AWS as clients send them."""

from __future__ import annotations

from slipway.emulator.partition.requests import HttpRequest


def request(
    *, method: str = "POST", path: bytes = b"/", query: bytes = b"", body: bytes = b"", **headers: str
) -> HttpRequest:
    """Create a request; `_` in a header's name stands for `-`."""
    sent = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return HttpRequest(method, path, query, sent, body)
