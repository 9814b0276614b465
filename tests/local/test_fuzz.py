"""Services only return answers that their OpenAPI documents describe."""

from __future__ import annotations

import pytest

from slipway.testing.contract.fuzz import FuzzContract


@pytest.mark.requirement("errors")
class TestFuzz(FuzzContract):
    """For each service with an OpenAPI document."""
