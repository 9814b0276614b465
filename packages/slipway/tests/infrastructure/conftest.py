"""Fixtures of the infrastructure tests: every variant of the matrix, synthesised once for the same sources."""

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
    """Create the specimen as its own project."""
    return specimen.checkout(tmp_path_factory.mktemp("specimen") / "project")


@pytest.fixture(scope="session")
def built(checkout: Path) -> AssetStore:
    """Build the specimen's assets there, with wheels from uv's cache."""
    folder = checkout / "build" / "assets"
    build(checkout, folder)
    return AssetStore(folder)


@pytest.fixture(params=ENVIRONMENTS)
def deployment(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Return each variant of the matrix in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture(params=["dev", "staging", "prod"])
def committed(request: pytest.FixtureRequest) -> DeployedTemplates:
    """Return each of the specimen's environments in turn."""
    return synthesis.deployment(request.param)


@pytest.fixture
def dev() -> DeployedTemplates:
    """Return the specimen's dev."""
    return synthesis.deployment("dev")


@pytest.fixture
def staging() -> DeployedTemplates:
    """Return the specimen's staging."""
    return synthesis.deployment("staging")


@pytest.fixture
def prod() -> DeployedTemplates:
    """Return the specimen's prod."""
    return synthesis.deployment("prod")
