"""Sign in as the test user."""

from __future__ import annotations

import typer

from slipway.emulator.command import EnvironmentOption
from slipway.testing.sign_in import OutputsOption, access_token, print_token

app = typer.Typer(help=__doc__, no_args_is_help=True)
__all__ = ["access_token", "app"]


@app.callback()
def _commands() -> None:
    """Sign in as the test user."""


@app.command()
def token(env: EnvironmentOption, outputs: OutputsOption = None) -> None:
    """Print an access token of the test user, valid for an hour."""
    print_token("processing", env, outputs)
