"""The specimen in every variant of the matrix, for the contract: `SLIPWAY_SUBJECT=infrastructure.subject:specimen`."""

from __future__ import annotations

from infrastructure import synthesis
from infrastructure.matrix import ENVIRONMENTS, SPECIMEN
from slipway.testing.app import Subject
from specimen.delivery import SERVICES
from specimen.services.catalog.infrastructure import Catalog

_FEW = ("dev", "staging", "prod", "dev, Frankfurt", "dev, GovCloud")
"""Variants that change services other than `catalog`."""


def specimen() -> Subject:
    """Return each service in each variant that changes it."""
    known = {service.name: service for service in SERVICES}
    cases = [
        (variant, service.name) for service in SERVICES for variant in (ENVIRONMENTS if service is Catalog else _FEW)
    ]
    return Subject(SPECIMEN, cases, lambda variant, name: synthesis.deployment(variant, known[name]))
