"""The four stacks of a service, in deployment order."""

from __future__ import annotations

from typing import Generic

from aws_cdk import Stack
from constructs import Construct

from slipway.delivery.names import service_stack
from slipway.delivery.roles import VerificationRole
from slipway.service import Compute, Data, Security, Service


class _ServiceStack(Stack):
    def __init__(
        self, scope: Construct, construct_id: str, *, service: Service, holds: str, protected: bool = False
    ) -> None:
        environment = service.environment
        super().__init__(
            scope,
            construct_id,
            stack_name=service_stack(environment.name, service.name, construct_id.lower()),
            description=f"{service.description}: {holds}",
            # CDK Pipelines deploys without setting it (aws-cdk #17871); `cdk deploy` sets it.
            termination_protection=protected and environment.stateful.termination_protection,
            analytics_reporting=False,
        )


class SecurityStack(_ServiceStack, Generic[Security]):
    """Keys and secrets: stateful, retained, protected."""

    def __init__(self, scope: Construct, *, service: Service[Security, Data, Compute]) -> None:
        super().__init__(scope, "Security", service=service, holds="keys and secrets", protected=True)
        self.part = service.add_security(self)


class DataStack(_ServiceStack, Generic[Data]):
    """Tables and buckets: stateful, retained, protected."""

    def __init__(self, scope: Construct, *, service: Service[Security, Data, Compute], security: Security) -> None:
        super().__init__(scope, "Data", service=service, holds="tables and buckets", protected=True)
        self.part = service.add_data(self, security)


class ComputeStack(_ServiceStack, Generic[Compute]):
    """Functions and what calls them: stateless, replaced at will."""

    def __init__(
        self, scope: Construct, *, service: Service[Security, Data, Compute], security: Security, data: Data
    ) -> None:
        super().__init__(scope, "Compute", service=service, holds="functions and API")
        verification = VerificationRole(self, "Verification", service=service.name, environment=service.environment)
        self.part = service.add_compute(self, security, data, verification)


class ObservabilityStack(_ServiceStack):
    """Alarms and dashboards: reads the others, and nothing reads it."""

    def __init__(
        self,
        scope: Construct,
        *,
        service: Service[Security, Data, Compute],
        security: Security,
        data: Data,
        compute: Compute,
    ) -> None:
        super().__init__(scope, "Observability", service=service, holds="alarms and dashboard")
        service.add_observability(self, security, data, compute)
