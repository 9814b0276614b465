"""Build what ships: see `builder`."""

from __future__ import annotations

from slipway.build.builder import LAMBDA_PLATFORM, LAMBDA_PYTHON, assets, build, build_assets, outdated
from slipway.build.errors import BuildError

__all__ = ["LAMBDA_PLATFORM", "LAMBDA_PYTHON", "BuildError", "assets", "build", "build_assets", "outdated"]
