"""Show dead letters, or send them back."""

from __future__ import annotations

import typer

from slipway.emulator.command import EnvironmentOption
from slipway.redrive import AccountOption, ShowOption, run

QUEUES = {"JobQueueUrl": "JobDeadLetterQueueUrl", "WorkQueueUrl": "WorkDeadLetterQueueUrl"}
"""Outputs of the compute stack: a queue, and its dead letters."""

app = typer.Typer(help=__doc__, no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Show dead letters, or send them back."""


@app.command()
def redrive(env: EnvironmentOption, show: ShowOption = False, account: AccountOption = False) -> None:
    """Send the dead letters back to their queues."""
    run("ingest", QUEUES, env=env, show=show, account=account)
