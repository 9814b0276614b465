"""Resources that an environment needs before its services."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from slipway.blocks.assets import AssetStore
from slipway.settings import Environment
from stacks.foundation import FoundationStack
from stages.base import EnvironmentStage


class FoundationStage(EnvironmentStage):
    """The foundation of one environment.

    Args:
        scope: The pipeline's stack.
        environment: Settings of the environment.
        services: Names of the services that are deployed there.
        assets: The built assets. Default: none, where nothing of the foundation needs them.
    """

    def __init__(
        self, scope: Construct, *, environment: Environment, services: Sequence[str], assets: AssetStore | None = None
    ) -> None:
        super().__init__(scope, environment=environment, service="foundation")
        FoundationStack(self, environment=environment, services=services, assets=assets)
