"""Every service with an API satisfies the HTTP contract."""

from __future__ import annotations

from slipway.testing.contract.http import HttpContract


class TestHttp(HttpContract):
    """For each operation of each service's OpenAPI document."""
