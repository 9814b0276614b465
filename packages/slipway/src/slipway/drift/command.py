"""Compare deployed stacks with their templates: `slipway drift`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.delivery.names import foundation_stack, service_stacks
from slipway.delivery.runtime.drift import POLL_SECONDS, DriftReport, detect_drift
from slipway.emulator.sessions import environment_named, services_named, session_of
from slipway.errors import UsageError


def drift(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be repeated. Default: all.")] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="AWS profile of the environment's account. Default: the emulator."),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Compare deployed stacks with their templates, and list each property that was changed manually.

    Exit code: 0 without differences, 1 if something differs or could not be compared, 2 for wrong input.
    """
    settings = config.load()
    environment = environment_named(settings, env)
    services = services_named(environment, service or ())
    stacks = [stack for name in services for stack in service_stacks(environment.name, name)]
    if service is None:
        stacks.insert(0, foundation_stack(environment))
    session = session_of(settings, environment, profile)
    poll = POLL_SECONDS if profile is not None else 0.1
    report = detect_drift(session.client("cloudformation"), stacks, poll_seconds=poll)
    if not report.stacks and not report.unread:
        raise UsageError(f"none of the stacks {', '.join(stacks)} exists in {environment.name}; deploy it first")
    if json_file is not None:
        output.write(asdict(report), json_file)
    if not output.prints(json_file):
        show_report(report, environment.name)
    if report.drifted or report.unread:
        raise typer.Exit(1)


def show_report(report: DriftReport, environment: str) -> None:
    """Print the drift of an environment.

    Args:
        report: The drift.
        environment: Name of the environment.
    """
    # A pipe has no width, and its reader needs whole lines.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
    for resource in report.drifted:
        for line in resource.lines():
            console.print(line, markup=False, style="red")
    for line in report.unread:
        console.print(f"not compared: {line}", markup=False, style="yellow")
    console.print(
        f"{environment}: {len(report.drifted)} resources of {len(report.stacks)} stacks differ from their templates",
        markup=False,
    )
