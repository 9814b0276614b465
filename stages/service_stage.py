"""One service in one environment."""

from __future__ import annotations

from constructs import Construct

from slipway.service import Compute, Data, Security, Service
from stacks.service import ComputeStack, DataStack, ObservabilityStack, SecurityStack
from stages.base import EnvironmentStage


class ServiceStage(EnvironmentStage):
    """A service as four stacks: security, data, compute, observability."""

    def __init__(self, scope: Construct, *, service: Service[Security, Data, Compute]) -> None:
        super().__init__(scope, environment=service.environment, service=service.name)
        security = SecurityStack(self, service=service)
        data = DataStack(self, service=service, security=security.part)
        compute = ComputeStack(self, service=service, security=security.part, data=data.part)
        observability = ObservabilityStack(
            self, service=service, security=security.part, data=data.part, compute=compute.part
        )

        data.add_stack_dependency(security)
        compute.add_stack_dependency(data)
        observability.add_stack_dependency(compute)
