"""Sessions for verbs that inspect one environment: on AWS with a profile, otherwise on the emulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.errors import UsageError
from slipway.settings import Environment, Settings

if TYPE_CHECKING:
    import boto3


def environment_named(settings: Settings, name: str) -> Environment:
    """Return an environment by its name; the last one if the name is empty.

    Args:
        settings: All of `config/`.
        name: Name of a file in `config/`.

    Raises:
        UsageError: The environment does not exist.
    """
    names = [each.name for each in settings.environments]
    if name and name not in names:
        raise UsageError(f"unknown environment {name!r}; choose from {', '.join(names)}")
    return settings.environment(name or names[-1])


def services_named(environment: Environment, wanted: Sequence[str]) -> Sequence[str]:
    """Return services of an environment; all of them if none is named.

    Args:
        environment: Its settings.
        wanted: Names of the requested services.

    Raises:
        UsageError: The environment lacks a requested service.
    """
    known = environment.services.names
    if unknown := [name for name in wanted if name not in known]:
        raise UsageError(f"unknown service {unknown[0]!r} of {environment.name}; choose from {', '.join(known)}")
    return wanted or known


def session_of(settings: Settings, environment: Environment, profile: str | None) -> boto3.Session:
    """Return a session in an environment's account and region.

    Args:
        settings: All of `config/`.
        environment: The environment.
        profile: AWS profile of its account; None for the emulator on this machine.

    Raises:
        UsageError: The profile does not exist or belongs to another account, or the environment is not up on this
            machine.
    """
    if profile is not None:
        import boto3  # noqa: PLC0415  # only needed on AWS
        from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

        try:
            session = boto3.Session(profile_name=profile, region_name=environment.region)
        except ProfileNotFound as error:
            raise UsageError(f"{error}; see `aws configure list-profiles`") from None
        account = session.client("sts").get_caller_identity()["Account"]
        if account != environment.account:
            raise UsageError(
                f"profile {profile} belongs to account {account}, but {environment.name} is "
                f"{environment.account}; pass its profile"
            )
        return session
    from slipway.emulator.environment import LocalEnvironment  # noqa: PLC0415  # needs its own extra

    emulator = LocalEnvironment(environment, settings.pipeline).emulator
    if emulator.pid is None:
        name = environment.name
        raise UsageError(
            f"{name} is not up on this machine: run `slipway up --env {name}`, or pass its AWS profile with --profile"
        )
    return emulator.session()
