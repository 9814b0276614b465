"""Sign in as the test user and print an access token: `python -m services.processing.sign_in`.

It reads the outputs that a deployment left (`SLIPWAY_OUTPUTS`, `build/local/outputs.json` otherwise) and calls AWS as
whoever the environment's variables say, who needs `secretsmanager:GetSecretValue` on the test user's secret.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

SERVICE = "processing"
NEEDED = ("TestUserSecretArn", "UserPoolClientId")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


class SignInError(Exception):
    """There is no token; the message is one line."""


def access_token(client: Callable[..., Any], outputs: Mapping[str, str]) -> str:
    """An access token of the test user, good for an hour.

    Args:
        client: makes a client of an AWS service, given its name.
        outputs: the service's: output → value.

    Raises:
        SignInError: the deployment has no test user, or the pool did not let it in.
    """
    if missing := [name for name in NEEDED if name not in outputs]:
        raise SignInError(f"the deployment has no output {', '.join(missing)}: only one with a test user has (dev)")
    secret = client("secretsmanager").get_secret_value(SecretId=outputs["TestUserSecretArn"])
    user = json.loads(secret["SecretString"])
    answer = client("cognito-idp").initiate_auth(
        ClientId=outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["username"], "PASSWORD": user["password"]},
    )
    if "AuthenticationResult" not in answer:
        raise SignInError(f"the user pool asks for more than the password: {answer.get('ChallengeName')}")
    return str(answer["AuthenticationResult"]["AccessToken"])


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
