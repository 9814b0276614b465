"""What the infrastructure tests share: every variant of the matrix, synthesised at most once a session."""

from __future__ import annotations

import pytest

from tests.infrastructure import synthesis
from tests.infrastructure.matrix import ENVIRONMENTS
from tests.infrastructure.synthesis import Deployment


@pytest.fixture(params=ENVIRONMENTS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each variant of the matrix in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> Deployment:
    """Each environment as it is committed, in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture
def dev() -> Deployment:
    """The environment dev as it is committed."""
    return synthesis.deployment("dev")


@pytest.fixture
def staging() -> Deployment:
    """The environment staging as it is committed."""
    return synthesis.deployment("staging")


@pytest.fixture
def prod() -> Deployment:
    """The environment prod as it is committed."""
    return synthesis.deployment("prod")
