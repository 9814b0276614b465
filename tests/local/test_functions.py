"""The role of every function allows what AWS's services do on its behalf."""

from __future__ import annotations

import pytest

from slipway.testing.contract.roles import AsynchronousContract, HookContract, TracedContract


@pytest.mark.requirement("functions")
class TestTraced(TracedContract):
    """For each function that does a service's work."""


@pytest.mark.requirement("functions")
class TestAsynchronous(AsynchronousContract):
    """For each function that is called asynchronously."""


@pytest.mark.requirement("functions", "safe deployments", "versions and aliases")
class TestHooks(HookContract):
    """For each contract check before traffic."""
