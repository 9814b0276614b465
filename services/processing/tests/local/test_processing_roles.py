"""What AWS's services do in the name of this service's roles."""

from __future__ import annotations

import pytest

from slipway.testing.contract.roles import AsynchronousContract, HookContract, TracedContract

pytestmark = pytest.mark.requirement("functions")

HOOKS = ("processing/ApiDeployment/Hook", "processing/WorkerDeployment/Hook")


class TestTraced(TracedContract):
    functions = ("processing/WorkerFunction",)


class TestAsynchronous(AsynchronousContract):
    functions = (*HOOKS, "processing/TestUser/Function", "processing/WorkerFunction")


class TestHooks(HookContract):
    functions = HOOKS
