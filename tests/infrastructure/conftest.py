"""What the infrastructure tests share: every variant of the matrix, synthesised at most once a session."""

from __future__ import annotations

import os

import pytest

from tests import specimen
from tests.infrastructure import synthesis
from tests.infrastructure.matrix import ENVIRONMENTS
from tests.infrastructure.synthesis import Deployment

specimen.install()


@pytest.fixture(scope="session", autouse=True)
def _share(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the processes of a run share what they synthesise."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        synthesis.shared = tmp_path_factory.getbasetemp().parent / "synthesised"
        synthesis.shared.mkdir(exist_ok=True)


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
