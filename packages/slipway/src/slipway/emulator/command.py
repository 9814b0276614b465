"""Shared parts of commands on this machine, including the services' own."""

from __future__ import annotations

from typing import Annotated

import typer

from slipway import settings as config
from slipway.emulator.environment import LocalEnvironment, choose, services_of


def _first_environment() -> str:
    return config.load().environments[0].name


EnvironmentOption = Annotated[
    str, typer.Option("--env", default_factory=_first_environment, help="Environment. Default: the first of config/.")
]


def local_environment(name: str, service: str | None = None) -> LocalEnvironment:
    """Return an environment of this machine.

    Args:
        name: Name of the environment.
        service: A service that the environment must have. Default: none.

    Raises:
        RehearsalError: The environment or the service does not exist.
    """
    settings = config.load()
    environment = choose(settings, name)
    if service is not None:
        services_of(environment, [service])
    return LocalEnvironment(environment, settings.pipeline)
