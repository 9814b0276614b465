"""What the specimen deploys, and how: its `app.py` for this process."""

from __future__ import annotations

from typing import Final

from pipeline.delivery import PipelineStack
from slipway.app import Delivery
from slipway.service import Service
from specimen.services.catalog.infrastructure import Catalog
from specimen.services.intake.infrastructure import Intake
from specimen.services.studio.infrastructure import Studio
from specimen.services.sweep.infrastructure import Sweep

SERVICES: Final[tuple[type[Service], ...]] = (Catalog, Intake, Studio, Sweep)
DELIVERY: Final = Delivery(pipeline=PipelineStack, services=SERVICES)
