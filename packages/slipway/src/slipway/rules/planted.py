"""A stack that breaks every rule: a rule that does not detect it is not trusted elsewhere."""

from __future__ import annotations

from pathlib import Path

from slipway.assembly.reader import read_template
from slipway.rules.model import Stack, Templates
from slipway.settings import Settings
from slipway.settings.model import RemovalPolicy, Stateful

_TEMPLATE = Path(__file__).parent / "data" / "planted" / "Planted.template.json"

ENVIRONMENT = "prod"
"""Environment of the planted stack."""


def planted(settings: Settings) -> Templates:
    """Return the planted stack, in an environment with every protection.

    Args:
        settings: Any settings; values that differ between environments are replaced.
    """
    stateful = Stateful(removal_policy=RemovalPolicy.RETAIN, deletion_protection=True, termination_protection=True)
    stack = Stack(
        path=f"Pipeline/{ENVIRONMENT}-planted/Compute",
        name=f"{ENVIRONMENT}-planted-compute",
        template=_TEMPLATE,
        body=read_template(_TEMPLATE),
        account=settings.pipeline.account,
        region=settings.pipeline.region,
        stateful=stateful,
        environment=ENVIRONMENT,
    )
    return Templates((stack,))
