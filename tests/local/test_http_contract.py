"""Every service with an API satisfies the HTTP contract."""

from __future__ import annotations

import pytest

from slipway.testing.contract.http import HttpContract


@pytest.mark.requirement(
    "safe deployments",
    "the API",
    "errors",
    "items: access",
    "items: the edge",
    "ingest: routes",
    "ingest: the usage plan",
    "processing: routes",
)
class TestHttp(HttpContract):
    """For each operation of each service's OpenAPI document."""
