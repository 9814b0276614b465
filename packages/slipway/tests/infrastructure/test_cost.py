"""The estimate knows every type that is deployed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import specimen
from infrastructure.synthesis import assets
from slipway.cost import read_assembly, unknown_types
from slipway.cost.assembly import PricedStack
from specimen.delivery import DELIVERY


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Sequence[PricedStack]:
    """Every stack of the specimen."""
    folder = tmp_path_factory.mktemp("cost")
    DELIVERY.build(specimen.SETTINGS, assets(), outdir=str(folder)).synth()
    return read_assembly(folder)


def test_every_type_has_a_price_or_reason(stacks: Sequence[PricedStack]) -> None:
    # Given every template, when its types are looked up, then none is unknown
    assert unknown_types(stacks) == []
