"""What the infrastructure tests share: every variant of the matrix, synthesised once for the same sources."""

from __future__ import annotations

import pytest

import specimen
from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS
from slipway.testing.templates import Deployment

specimen.install()


@pytest.fixture(params=ENVIRONMENTS)
def deployment(request: pytest.FixtureRequest) -> Deployment:
    """Each variant of the matrix in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> Deployment:
    """Each environment of the specimen, in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture
def dev() -> Deployment:
    """The specimen's dev."""
    return synthesis.deployment("dev")


@pytest.fixture
def staging() -> Deployment:
    """The specimen's staging."""
    return synthesis.deployment("staging")


@pytest.fixture
def prod() -> Deployment:
    """The specimen's prod."""
    return synthesis.deployment("prod")
