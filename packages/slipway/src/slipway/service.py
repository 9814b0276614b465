"""What a service is: a class that is handed a stack and fills in its part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from aws_cdk import Stack

from slipway.blocks.assets import AssetStore
from slipway.delivery.roles import VerificationRole
from slipway.settings import Environment


class Service(ABC):
    """One service in one environment.

    The four methods are called in the order in which the stacks are deployed: security, data, compute, observability.
    What an earlier one makes, a later one may use.

    Args:
        environment: the settings of the environment that the service is deployed to.
        assets: the built code and layer.
    """

    name: ClassVar[str]
    """Short name: it stands in stage and stack names, tags, aliases and metrics."""

    description: ClassVar[str]
    """One line for the stacks' descriptions."""

    verification: VerificationRole
    """What the tests after a deployment run under; the compute stack makes it, and `add_compute` may allow it more."""

    def __init__(self, *, environment: Environment, assets: AssetStore) -> None:
        self.environment = environment
        self.assets = assets

    @abstractmethod
    def add_security(self, stack: Stack) -> None:
        """Add the key and the secrets."""

    @abstractmethod
    def add_data(self, stack: Stack) -> None:
        """Add tables and buckets."""

    @abstractmethod
    def add_compute(self, stack: Stack) -> None:
        """Add functions, queues, topics and the API."""

    @abstractmethod
    def add_observability(self, stack: Stack) -> None:
        """Add alarms and the dashboard."""
