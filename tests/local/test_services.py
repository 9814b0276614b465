"""Every service keeps secrets, reports outages, and can be called with third-party clients."""

from __future__ import annotations

import pytest

from slipway.testing.contract.outage import OutageContract
from slipway.testing.contract.outsiders import ClientContract
from slipway.testing.contract.secrecy import SecrecyContract


@pytest.mark.requirement("errors", "items: health")
class TestOutage(OutageContract):
    """For each service with an API."""


@pytest.mark.requirement("secrets")
class TestSecrecy(SecrecyContract):
    """For each operation with restricted access."""


@pytest.mark.requirement("the API", "items: the edge")
class TestClients(ClientContract):
    """For each operation of each service's OpenAPI document."""
