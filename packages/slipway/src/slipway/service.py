"""Base class of services: each service adds its resources to four stacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic

from aws_cdk import Stack
from typing_extensions import TypeVar

from slipway.blocks.assets import AssetStore
from slipway.blocks.deployment import SafeDeployment
from slipway.blocks.function import ServiceFunction
from slipway.blocks.key import ServiceKey
from slipway.blocks.messaging import DeadLetterQueue
from slipway.blocks.outputs import output
from slipway.blocks.waf import EdgeProof
from slipway.delivery.roles import VerificationRole
from slipway.settings import Environment
from slipway.settings.model import FunctionSettings

Security = TypeVar("Security", default=Any)
Data = TypeVar("Data", default=Any)
Compute = TypeVar("Compute", default=Any)


class Service(ABC, Generic[Security, Data, Compute]):
    """One service in one environment.

    The stacks are deployed in the order of the methods: security, data, compute, observability. Each method returns
    what the later ones need from its stack, as a small frozen object that the service defines.

    Args:
        environment: The settings of the environment that the service is deployed to.
        assets: The built code and layer.
    """

    name: ClassVar[str]
    """Short name, used in stage and stack names, tags, aliases and metrics."""

    description: ClassVar[str]
    """One line for the stacks' descriptions."""

    def __init__(self, *, environment: Environment, assets: AssetStore) -> None:
        self.environment = environment
        self.assets = assets

    @abstractmethod
    def add_security(self, stack: Stack) -> Security:
        """Add the key and the secrets."""

    @abstractmethod
    def add_data(self, stack: Stack, security: Security) -> Data:
        """Add tables and buckets."""

    @abstractmethod
    def add_compute(self, stack: Stack, security: Security, data: Data, verification: VerificationRole) -> Compute:
        """Add functions, queues, topics and the API, if there is one.

        Args:
            stack: The compute stack.
            security: Result of `add_security`.
            data: Result of `add_data`.
            verification: Role of the tests after a deployment; grant it their permissions.
        """

    @abstractmethod
    def add_observability(self, stack: Stack, security: Security, data: Data, compute: Compute) -> None:
        """Add alarms and the dashboard."""

    def key(self, stack: Stack) -> ServiceKey:
        """Return a new key of the service, which the stack's outputs name."""
        key = ServiceKey(stack, "Key", service=self.name, environment=self.environment)
        output(stack, "KeyId", key.key_id, "Id of the key that encrypts what the service stores")
        output(stack, "KeyArn", key.key_arn, "ARN of the service's key")
        return key

    def function(
        self,
        stack: Stack,
        construct_id: str,
        handler: str,
        description: str,
        *,
        settings: FunctionSettings,
        key: ServiceKey,
        variables: Mapping[str, str] | None = None,
        dead_letters: DeadLetterQueue | None = None,
        asynchronous: bool = False,
    ) -> ServiceFunction:
        """Return a new function of the service.

        Args:
            stack: The stack.
            construct_id: Id in it.
            handler: `<module>.<function>` in the service's `runtime/`.
            description: One line, shown in the console.
            settings: Size of the function.
            key: The service's key.
            variables: Additional environment variables. Never a secret.
            dead_letters: Queue for failed work. Required if the function is invoked asynchronously or by a stream.
            asynchronous: True if events reach it asynchronously.
        """
        return ServiceFunction(
            stack,
            construct_id,
            service=self.name,
            environment=self.environment,
            settings=settings,
            assets=self.assets,
            key=key,
            handler=f"services.{self.name}.runtime.{handler}",
            description=description,
            variables=variables,
            dead_letters=dead_letters,
            asynchronous=asynchronous,
        )

    def deployment(
        self,
        name: str,
        function: ServiceFunction,
        hook: str,
        *,
        dead_letters: DeadLetterQueue,
        compares: bool = False,
        proof: EdgeProof | None = None,
    ) -> SafeDeployment:
        """Return a new deployment of a function, in its stack; see `SafeDeployment`.

        Args:
            name: First part of its id, such as `Api` of `ApiDeployment`.
            function: The function.
            hook: Name of its contract check in the service's `runtime/hooks.py`.
            dead_letters: Queue for contract checks that failed to run.
            compares: True if the check compares what two versions answer.
            proof: Secret that the function expects in those reads. Default: none.
        """
        return SafeDeployment(
            Stack.of(function),
            f"{name}Deployment",
            function=function,
            hook_handler=f"services.{self.name}.runtime.hooks.{hook}",
            dead_letters=dead_letters,
            compares=compares,
            proof=proof,
        )
