"""Sign in as the test user and print an access token: `python -m services.processing.sign_in`.

It reads the outputs of a deployment (`SLIPWAY_OUTPUTS`, `build/local/outputs.json` otherwise) and calls AWS with the
credentials in the environment, which need `secretsmanager:GetSecretValue` on the test user's secret.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from slipway.testing.sign_in import SignInError, access_token

SERVICE = "processing"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def main(
    outputs: Annotated[
        Path, typer.Option(envvar="SLIPWAY_OUTPUTS", help="Outputs of a deployment: service → output → value.")
    ] = Path("build/local/outputs.json"),
) -> None:
    """Print an access token of the test user."""
    try:
        deployed = json.loads(outputs.read_text(encoding="utf-8"))
        token = access_token(boto3.client, deployed.get(SERVICE, {}))
    except (OSError, ValueError, AttributeError, SignInError, BotoCoreError, ClientError) as error:
        print(f"no token: {error}", file=sys.stderr)  # noqa: T201 - a command line's answer
        raise typer.Exit(1) from None
    print(token)  # noqa: T201


if __name__ == "__main__":
    app()
