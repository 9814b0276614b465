"""Compare what is deployed with the templates: `slipway drift`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.delivery.names import foundation_stack, service_stacks
from slipway.delivery.runtime.drift import POLL_SECONDS, DriftReport, detect_drift
from slipway.errors import UsageError
from slipway.settings import Environment, Settings

if TYPE_CHECKING:
    import boto3


def drift(
    env: Annotated[str, typer.Option(help="The environment, as a file in config/ names it.")],
    service: Annotated[list[str] | None, typer.Option(help="These services alone; repeatable.")] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="AWS profile of the environment's account. Default: ask the emulator."),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Compare what is deployed with the templates, and name each property that was changed by hand.

    Exit code: 0 when nothing differs, 1 when something does or could not be looked at, 2 for wrong input.
    """
    settings = config.load()
    environment = _environment(settings, env)
    services = _services(environment, service)
    stacks = [stack for name in services for stack in service_stacks(environment.name, name)]
    if service is None:
        stacks.insert(0, foundation_stack(environment))
    session = _session(settings, environment, profile)
    poll = POLL_SECONDS if profile is not None else 0.1
    report = detect_drift(session.client("cloudformation"), stacks, poll_seconds=poll)
    if not report.stacks and not report.unread:
        raise UsageError(f"{environment.name} has none of the stacks {', '.join(stacks)}")
    if json_file is not None:
        output.write(asdict(report), json_file)
    if not output.prints(json_file):
        show_report(report, environment.name)
    if report.drifted or report.unread:
        raise typer.Exit(1)


def show_report(report: DriftReport, environment: str) -> None:
    """Print what was found.

    Args:
        report: what was found.
        environment: name of the environment.
    """
    # A pipe has no width of its own, and its reader wants whole lines.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    for resource in report.drifted:
        for line in resource.lines():
            console.print(line, markup=False, style="red")
    for line in report.unread:
        console.print(f"not looked at: {line}", markup=False, style="yellow")
    console.print(
        f"{environment}: {len(report.drifted)} resources of {len(report.stacks)} stacks differ from their templates",
        markup=False,
    )


def _environment(settings: Settings, name: str) -> Environment:
    names = [each.name for each in settings.environments]
    if name not in names:
        raise UsageError(f"unknown environment {name!r}; choose from {', '.join(names)}")
    return settings.environment(name)


def _services(environment: Environment, wanted: list[str] | None) -> list[str]:
    known = [name for name, value in environment.services if value is not None]
    if unknown := sorted(set(wanted or ()) - set(known)):
        raise UsageError(f"unknown service {', '.join(unknown)} of {environment.name}; choose from {', '.join(known)}")
    return wanted or known


def _session(settings: Settings, environment: Environment, profile: str | None) -> boto3.Session:
    if profile is not None:
        import boto3  # noqa: PLC0415  # for AWS alone

        session = boto3.Session(profile_name=profile, region_name=environment.region)
        account = session.client("sts").get_caller_identity()["Account"]
        if account != environment.account:
            raise UsageError(f"{profile} is of account {account}, and {environment.name} is {environment.account}")
        return session
    from slipway.emulator.environment import LocalEnvironment  # noqa: PLC0415  # an extra of its own

    emulator = LocalEnvironment(environment, settings.pipeline).emulator
    if emulator.pid is None:
        name = environment.name
        raise UsageError(f"{name} is not up here: run `slipway up --env {name}`, or name its account with --profile")
    return emulator.session()
