"""Sessions for the verbs that look at one environment: on AWS by a profile, else on the emulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slipway.errors import UsageError
from slipway.settings import Environment, Settings

if TYPE_CHECKING:
    import boto3


def environment_named(settings: Settings, name: str) -> Environment:
    """Return an environment by its name; the last one if the name is empty.

    Args:
        settings: all of `config/`.
        name: as a file in `config/` is called.

    Raises:
        UsageError: there is no such environment.
    """
    names = [each.name for each in settings.environments]
    if name and name not in names:
        raise UsageError(f"unknown environment {name!r}; choose from {', '.join(names)}")
    return settings.environment(name or names[-1])


def session_of(settings: Settings, environment: Environment, profile: str | None) -> boto3.Session:
    """Return a session in an environment's account and region.

    Args:
        settings: all of `config/`.
        environment: the environment.
        profile: AWS profile of its account; None for the environment that is up on this machine.

    Raises:
        UsageError: there is no such profile, or the environment is not up here.
    """
    if profile is not None:
        import boto3  # noqa: PLC0415  # for AWS alone
        from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

        try:
            return boto3.Session(profile_name=profile, region_name=environment.region)
        except ProfileNotFound as error:
            raise UsageError(f"{error}; see `aws configure list-profiles`") from None
    from slipway.emulator.environment import LocalEnvironment  # noqa: PLC0415  # an extra of its own

    emulator = LocalEnvironment(environment, settings.pipeline).emulator
    if emulator.pid is None:
        name = environment.name
        raise UsageError(f"{name} is not up here: run `slipway up --env {name}`, or name its account with --profile")
    return emulator.session()
