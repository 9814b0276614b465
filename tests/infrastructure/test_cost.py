"""The estimate knows every type that is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from app import delivery
from slipway.blocks.assets import AssetStore
from slipway.cost import read_assembly, unknown_types
from slipway.cost.assembly import Stack
from tests import specimen
from tests.infrastructure.synthesis import write_assets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Stack]:
    """Every stack of the app as it is committed."""
    folder = tmp_path_factory.mktemp("cost")
    write_assets(folder)
    delivery.build(specimen.SETTINGS, AssetStore(folder), outdir=str(folder / "cdk.out")).synth()
    return read_assembly(folder / "cdk.out")


def test_every_type_has_a_price_or_a_reason_to_have_none(stacks: Sequence[Stack]) -> None:
    # Given every template, when its types are looked up, then none is unknown
    assert unknown_types(stacks) == []
