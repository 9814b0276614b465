"""The estimate has a price, or a reason for none, for every deployed type."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

import specimen
from infrastructure.matrix import changed, pipeline_settings
from infrastructure.synthesis import assets
from slipway.cost import estimate, load_prices, read_assembly, unknown_types
from slipway.cost.assembly import PricedStack
from slipway.cost.scope import Charge
from specimen.delivery import DELIVERY


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Sequence[PricedStack]:
    """Return every stack of the specimen."""
    folder = tmp_path_factory.mktemp("cost")
    DELIVERY.build(specimen.SETTINGS, assets(), outdir=str(folder)).synth()
    return read_assembly(folder)


def test_every_type_has_a_price_or_reason(stacks: Sequence[PricedStack]) -> None:
    # Given every template, when its types are looked up, then all of them are known
    assert unknown_types(stacks) == []


def test_experiments_cost_their_minutes_at_every_delivery(tmp_path: Path) -> None:
    # Given a service with three experiments of four minutes
    staging = changed(specimen.SETTINGS.environment("staging"), {"resilience": {"minutes": 4}})
    settings = pipeline_settings((staging,), approval_before=[])
    DELIVERY.build(settings, assets(), outdir=str(tmp_path)).synth()
    # When its cost is estimated
    found = estimate(read_assembly(tmp_path), load_prices())
    # Then each delivery costs 0.10 USD per minute
    charges = [line.charge for line in found.lines if line.charge.aws == "FIS" and line.service == "catalog"]
    assert charges == [Charge.per_run("FIS", "experiments", Decimal("0.4"))] * 3
