"""What the configuration says of a stack: whose it is, and which packs judge it."""

from __future__ import annotations

from collections.abc import Callable

from slipway.nag.names import OUR_PACKS, PacksOf
from slipway.settings import Environment, Settings
from slipway.settings.model import Place


def environment_of(settings: Settings, stack: str) -> Environment | None:
    """The environment that a stack is deployed to, or None for the pipeline's own.

    Args:
        settings: all of `config/`.
        stack: path of its construct, such as `Pipeline/prod-<service>/Data`.
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
    """The environment that a stack is deployed to, or the pipeline's own place."""
    return environment_of(settings, stack) or settings.pipeline


PIPELINE = "pipeline"
"""Unit of what is in no environment."""


def unit_of(settings: Settings) -> Callable[[str], str]:
    """Return what names the part of the app that a stack belongs to: a service, the foundation, or the pipeline.

    The same whatever the environments are called, and however many there are.

    Args:
        settings: all of `config/`.
    """

    def unit(stack: str) -> str:
        environment = environment_of(settings, stack)
        if environment is None:
            return PIPELINE
        prefix = f"{environment.name}-"
        return next(part.removeprefix(prefix) for part in stack.split("/") if part.startswith(prefix))

    return unit


def packs_of(settings: Settings) -> PacksOf:
    """The packs of a stack: those of its environment's file, or of the pipeline's where it belongs to none.

    Our own rules, and those of what only AWS would tell, are among them everywhere.

    Args:
        settings: all of `config/`.
    """
    return lambda stack: (*(pack.value for pack in place_of(settings, stack).gates.packs), *OUR_PACKS)
