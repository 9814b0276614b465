"""No service answers anything that its OpenAPI document does not describe."""

from __future__ import annotations

from slipway.testing.contract.fuzz import FuzzContract


class TestFuzz(FuzzContract):
    """For each service with an OpenAPI document."""
