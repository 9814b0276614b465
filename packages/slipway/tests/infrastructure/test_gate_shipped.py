"""The assembly publishes exactly the zips that were built and recorded, with the digests of its own files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infrastructure.matrix import SPECIMEN
from infrastructure.synthesis import new_app
from slipway.blocks.assets import AssetStore
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import built as recorded_in
from slipway.supply.shipped import deployed
from specimen.services.catalog.infrastructure import Catalog
from stages.service_stage import ServiceStage


@pytest.fixture(scope="module")
def synthesised(checkout: Path, built: AssetStore) -> ScannedTree:
    """Synthesise an assembly of one service with the built assets."""
    app = new_app()
    ServiceStage(app, service=Catalog(environment=SPECIMEN.environments[0], assets=built))
    shutil.copytree(Path(app.synth().directory), checkout / "cdk.out")
    return ScannedTree(root=checkout)


def names(synthesised: ScannedTree) -> set[str | None]:
    """Return the recorded names of everything that is published, by digest."""
    recorded = {one.sha256: one.name for one in recorded_in(synthesised) if one.ships}
    return {recorded.get(one.sha256) for one in deployed(synthesised)}


@pytest.mark.requirement("gates before any account")
def test_published_assets_are_the_built_ones(synthesised: ScannedTree) -> None:
    assert names(synthesised) == {"catalog", "layer"}


def test_a_changed_byte_is_detected(synthesised: ScannedTree) -> None:
    # Given a zip of the assembly that was changed after the synthesis
    path = next(one.path for one in deployed(synthesised) if one.path)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0")

    assert None in names(synthesised)

    path.write_bytes(whole)
    assert None not in names(synthesised)
