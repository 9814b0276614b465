"""What an environment needs before its services."""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct

from slipway.settings import Environment
from stacks.foundation import FoundationStack
from stages.base import EnvironmentStage


class FoundationStage(EnvironmentStage):
    """The foundation of one environment.

    Args:
        scope: the pipeline's stack.
        environment: settings of the environment.
        services: names of the services that are deployed there.
    """

    def __init__(self, scope: Construct, *, environment: Environment, services: Sequence[str]) -> None:
        super().__init__(scope, environment=environment, service="foundation")
        FoundationStack(self, environment=environment, services=services)
