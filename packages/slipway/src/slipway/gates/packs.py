"""The configuration's view of a stack: its environment, and its rule packs."""

from __future__ import annotations

from collections.abc import Callable

from slipway.nag.names import OUR_PACKS, PacksOf
from slipway.settings import Environment, Settings
from slipway.settings.model import Place


def environment_of(settings: Settings, stack: str) -> Environment | None:
    """Return the environment that a stack is deployed to; None for the pipeline's own.

    Args:
        settings: All of `config/`.
        stack: Path of its construct, such as `Pipeline/prod-<service>/Data`.
    """
    # A stage is named `<environment>-<service>`; an environment's own name may have dashes.
    found = [
        environment
        for part in stack.split("/")
        for environment in settings.environments
        if part.startswith(f"{environment.name}-")
    ]
    return max(found, key=lambda environment: len(environment.name), default=None)


def place_of(settings: Settings, stack: str) -> Place:
    """Return the environment that a stack is deployed to, or the pipeline's own place."""
    return environment_of(settings, stack) or settings.pipeline


PIPELINE = "pipeline"
"""Unit of stacks outside the environments."""


def unit_of(settings: Settings) -> Callable[[str], str]:
    """Return a function that names a stack's part of the app: a service, the foundation, or the pipeline.

    The names don't depend on the environments' names or number.

    Args:
        settings: All of `config/`.
    """

    def unit(stack: str) -> str:
        environment = environment_of(settings, stack)
        if environment is None:
            return PIPELINE
        prefix = f"{environment.name}-"
        return next(part.removeprefix(prefix) for part in stack.split("/") if part.startswith(prefix))

    return unit


def packs_of(settings: Settings) -> PacksOf:
    """Return the packs of a stack: its environment's, or the pipeline's for its own stacks.

    Our own rules and the rules on AWS behaviour always apply.

    Args:
        settings: All of `config/`.
    """
    return lambda stack: (*(pack.value for pack in place_of(settings, stack).gates.packs), *OUR_PACKS)
