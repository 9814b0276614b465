"""Print the commands that bootstrap the configured accounts, and write the policies that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import settings as config
from slipway.accounts.bootstrap.commands import commands, write
from slipway.accounts.bootstrap.policies import execution_policies, policies
from slipway.project import ROOT
from slipway.settings.load import CONFIG_FOLDER

FOLDER = Path("build") / "bootstrap"


def print_commands(
    output: Annotated[Path, typer.Option("--output", help="Folder for the policies.")] = FOLDER,
    configuration: Annotated[
        Path, typer.Option("--config", help="Folder of the configuration.", exists=True, file_okay=False)
    ] = CONFIG_FOLDER,
) -> None:
    """Write the policies, then print the commands as a shell script: tools account first."""
    settings = config.load(configuration)
    written = write(settings, output if output.is_absolute() else ROOT / output)
    typer.echo("# Run from the repository's root, as an administrator of each account. Use your own profiles.")
    typer.echo("# You can run it again: only differences are applied.")
    typer.echo("set -eu")
    for account, lines in commands(settings, output).items():
        typer.echo(f"\n# === {account.label}: {account.account} ===")
        for line in lines:
            typer.echo(f"# {line.why}.\n{line}")
    summary = Console(stderr=True, highlight=False, soft_wrap=True)
    for account in commands(settings, output):
        largest = max(policies(account, settings), key=lambda policy: policy.characters)
        summary.print(
            f"{account.label} {account.account}: {len(execution_policies(account, settings))} execution policies and "
            f"2 boundaries, the largest {largest.name} with {largest.characters:,} characters"
        )
    summary.print(f"{len(written)} files in {output}")
