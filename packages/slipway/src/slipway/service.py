"""Base class of services: each service adds its resources to four stacks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic

from aws_cdk import Stack
from typing_extensions import TypeVar

from slipway.blocks.assets import AssetStore
from slipway.delivery.roles import VerificationRole
from slipway.settings import Environment

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
