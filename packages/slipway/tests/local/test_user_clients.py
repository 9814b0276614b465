"""Users sign in with third-party clients: the AWS CLI, and a library that supports SRP."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest
from pycognito.aws_srp import AWSSRP

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.clients import aws_cli
from slipway.testing.emulated import Request

PASSWORD = "Correct-horse-7-battery"
PATH = "/process/none"


@pytest.fixture
def values(outputs: Outputs) -> dict[str, str]:
    return outputs["studio"]


@pytest.fixture
def name(session: Callable[..., boto3.Session], values: dict[str, str]) -> str:
    """Create a user, and return its name."""
    made, cognito = f"user-{uuid4().hex[:8]}", session().client("cognito-idp")
    cognito.admin_create_user(
        UserPoolId=values["UserPoolId"],
        Username=made,
        MessageAction="SUPPRESS",
        UserAttributes=[
            {"Name": "email", "Value": f"{made}@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ],
    )
    cognito.admin_set_user_password(UserPoolId=values["UserPoolId"], Username=made, Password=PASSWORD, Permanent=True)
    return made


def let_in(unsigned: Request, token: str) -> bool:
    headers = {"Authorization": f"Bearer {token}"}
    answer: httpx.Response = unsigned("GET", PATH, service="studio", headers=headers)
    assert unsigned("GET", PATH, service="studio").status_code == 401
    return answer.status_code not in {401, 403}


def test_the_aws_cli_signs_in(
    local: LocalEnvironment, values: dict[str, str], unsigned: Request, name: str, tmp_path: Path
) -> None:
    signed_in = aws_cli(
        local.emulator,
        tmp_path,
        *("cognito-idp", "initiate-auth", "--client-id", values["UserPoolClientId"]),
        *("--auth-flow", "USER_PASSWORD_AUTH", "--auth-parameters", f"USERNAME={name},PASSWORD={PASSWORD}"),
    )
    assert let_in(unsigned, json.loads(signed_in.stdout)["AuthenticationResult"]["AccessToken"])


@pytest.mark.parametrize("alias", ["{name}", "{name}@example.com"])
def test_a_user_signs_in_without_sending_a_password(
    session: Callable[..., boto3.Session], values: dict[str, str], unsigned: Request, name: str, alias: str
) -> None:
    # Given a library that supports SRP
    cognito = session().client("cognito-idp")

    def tokens(password: str) -> Any:
        srp = AWSSRP(
            username=alias.format(name=name),
            password=password,
            pool_id=values["UserPoolId"],
            client_id=values["UserPoolClientId"],
            client=cognito,
        )
        return srp.authenticate_user()["AuthenticationResult"]

    # Then its token is accepted, and a wrong password gives none
    assert let_in(unsigned, tokens(PASSWORD)["AccessToken"])
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        tokens(f"{PASSWORD}!")
