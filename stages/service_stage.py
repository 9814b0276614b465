"""One service in one environment."""

from __future__ import annotations

from constructs import Construct

from slipway.service import Service
from stacks.service import ComputeStack, DataStack, ObservabilityStack, SecurityStack
from stages.base import EnvironmentStage


class ServiceStage(EnvironmentStage):
    """A service as four stacks: security, data, compute, observability."""

    def __init__(self, scope: Construct, *, service: Service) -> None:
        super().__init__(scope, environment=service.environment, service=service.name)
        security = SecurityStack(self, service=service)
        data = DataStack(self, service=service)
        compute = ComputeStack(self, service=service)
        observability = ObservabilityStack(self, service=service)

        data.add_stack_dependency(security)
        compute.add_stack_dependency(data)
        observability.add_stack_dependency(compute)
