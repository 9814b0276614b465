"""Sign in as the test user of a service whose callers are users (`slipway.blocks.user_pool.TestUser`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from slipway.errors import SlipwayError

NEEDED = ("TestUserSecretArn", "UserPoolClientId")
"""Outputs of a deployment with a test user."""


OutputsOption = Annotated[
    Path | None,
    typer.Option(
        "--outputs", help="File with the outputs of a deployment elsewhere. Default: this machine's emulator."
    ),
]


class SignInError(SlipwayError):
    """No token was issued. The message is one line."""


def has_test_user(outputs: Mapping[str, str]) -> bool:
    """Return True if a deployment with these outputs has a test user."""
    return all(name in outputs for name in NEEDED)


def access_token(client: Callable[..., Any], outputs: Mapping[str, str]) -> str:
    """Return an access token of the test user, valid for an hour.

    Args:
        client: Makes a client of an AWS service, given its name.
        outputs: Outputs of the service: output → value.

    Raises:
        SignInError: The deployment has no test user, or the sign-in failed.
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
        raise SignInError(f"the user pool requires more than the password: {answer.get('ChallengeName')}")
    return str(answer["AuthenticationResult"]["AccessToken"])


def print_token(service: str, env: str, outputs: Path | None) -> None:
    """Print an access token of a service's test user, as the service's own command `token` does.

    Args:
        service: Its name.
        env: Environment on this machine.
        outputs: A file in the format of `build/local/outputs.json`, of a deployment elsewhere. Default: this machine.

    Raises:
        SignInError: No token was issued.
    """
    if outputs is None:
        # Imported late, because most callers have no emulator.
        from slipway.emulator.command import local_environment

        local = local_environment(env)
        typer.echo(access_token(local.emulator.session().client, local.outputs().get(service, {})))
        return
    try:
        deployed = json.loads(outputs.read_text(encoding="utf-8"))
        typer.echo(access_token(boto3.client, deployed.get(service, {})))
    except (OSError, ValueError, AttributeError, TypeError, BotoCoreError, ClientError) as error:
        raise SignInError(f"no token: {error}") from None
