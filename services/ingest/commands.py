"""Show dead letters, or send them back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from services.ingest.redrive import work_off
from slipway.emulator.command import EnvironmentOption, local_environment

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Show dead letters, or send them back."""


@app.command()
def redrive(
    env: EnvironmentOption,
    show: Annotated[bool, typer.Option("--show", help="Show the messages and reasons, and change nothing.")] = False,
) -> None:
    """Send the dead letters on this machine back to their queues."""
    local = local_environment(env)
    outputs = local.outputs().get("ingest", {})
    Console().print(work_off(local.emulator.session().client("sqs"), outputs, show=show))
