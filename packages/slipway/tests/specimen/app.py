#!/usr/bin/env python3
"""The specimen as `cdk synth` runs it, in a folder that `specimen.checkout` made."""

import sys

from services.catalog.infrastructure import Catalog
from services.intake.infrastructure import Intake
from services.studio.infrastructure import Studio
from services.sweep.infrastructure import Sweep

from pipeline.delivery import PipelineStack
from slipway.app import Delivery
from slipway.service import Service

SERVICES: tuple[type[Service], ...] = (Catalog, Intake, Studio, Sweep)

delivery = Delivery(pipeline=PipelineStack, services=SERVICES)

if __name__ == "__main__":
    sys.exit(delivery.main())
