#!/usr/bin/env python3
"""Three services, delivered by one pipeline to every environment in `config/`. `cdk synth` runs this file."""

import sys

import slipway.kernel  # noqa: F401 - has to come before CDK
from pipeline.delivery import PipelineStack
from services.ingest.infrastructure import Ingest
from services.items.infrastructure import Items
from services.processing.infrastructure import Processing
from slipway.app import Delivery
from slipway.service import Service

SERVICES: tuple[type[Service], ...] = (Items, Ingest, Processing)

delivery = Delivery(pipeline=PipelineStack, services=SERVICES)

if __name__ == "__main__":
    sys.exit(delivery.main())
