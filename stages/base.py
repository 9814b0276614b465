"""Common parts of an environment's stages."""

from __future__ import annotations

from aws_cdk import Aspects, Stage, Tags
from aws_cdk import Environment as Target
from constructs import Construct

from slipway.blocks.expiry import KeepNothing
from slipway.settings import Environment


class EnvironmentStage(Stage):
    """A stage in an environment's account and region, with tags on everything in it.

    Args:
        scope: The pipeline's stack.
        environment: Settings of the environment.
        service: The service it deploys, or `foundation`: part of its name, and the tag `Service`.
    """

    def __init__(self, scope: Construct, *, environment: Environment, service: str) -> None:
        super().__init__(
            scope,
            f"{environment.name}-{service}",
            env=Target(account=environment.account, region=environment.region),
        )
        tags = Tags.of(self)
        for name, value in {
            "Project": environment.tags.project,
            "Application": environment.tags.application,
            "Service": service,
            "Environment": environment.name,
            "Owner": environment.tags.owner,
            "CostCenter": environment.tags.cost_center,
            "ManagedBy": "cdk",
        }.items():
            tags.add(name, value)
        if environment.sandbox is not None:
            Aspects.of(self).add(KeepNothing(environment))
