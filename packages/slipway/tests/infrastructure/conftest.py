"""What the infrastructure tests share: every variant of the matrix, synthesised once for the same sources."""

from __future__ import annotations

from pathlib import Path

import pytest

import specimen
from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS
from slipway.blocks.assets import AssetStore
from slipway.build import build
from slipway.testing.templates import DeployedTemplates

specimen.install()


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The specimen as a project of its own."""
    return specimen.checkout(tmp_path_factory.mktemp("specimen") / "project")


@pytest.fixture(scope="session")
def built(checkout: Path) -> AssetStore:
    """What it ships, built there; the wheels come from uv's cache."""
    folder = checkout / "build" / "assets"
    build(checkout, folder)
    return AssetStore(folder)


@pytest.fixture(params=ENVIRONMENTS)
def deployment(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Each variant of the matrix in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Each environment of the specimen, in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture
def dev() -> DeployedTemplates:
    """The specimen's dev."""
    return synthesis.deployment("dev")


@pytest.fixture
def staging() -> DeployedTemplates:
    """The specimen's staging."""
    return synthesis.deployment("staging")


@pytest.fixture
def prod() -> DeployedTemplates:
    """The specimen's prod."""
    return synthesis.deployment("prod")
