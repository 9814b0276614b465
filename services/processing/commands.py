"""Sign in as the test user."""

from __future__ import annotations

import typer

from slipway.emulator.command import EnvironmentOption, local_environment
from slipway.testing.sign_in import access_token

app = typer.Typer(help=__doc__, no_args_is_help=True)
__all__ = ["access_token", "app"]


@app.callback()
def _commands() -> None:
    """Sign in as the test user."""


@app.command()
def token(env: EnvironmentOption) -> None:
    """Print an access token of the test user on this machine, good for an hour."""
    local = local_environment(env)
    typer.echo(access_token(local.emulator.session().client, local.outputs().get("processing", {})))
