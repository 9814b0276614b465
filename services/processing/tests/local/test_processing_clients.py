"""Other people's clients: a generated one, the AWS CLI, an SRP library, a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import httpx
import pytest
from pycognito.aws_srp import AWSSRP

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.browser import Browser, why_not
from slipway.testing.clients import GeneratedClient, aws_cli, fetch, generate, page_elsewhere
from slipway.testing.emulated import until
from slipway.testing.sign_in import access_token

PASSWORD = "Correct-horse-7-battery"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> GeneratedClient:
    return generate("processing", tmp_path_factory.mktemp("processing"))


def test_data_is_processed(generated: GeneratedClient, local: LocalEnvironment, outputs: Outputs, session: Any) -> None:
    client, at = generated, outputs["processing"]["ApiEndpoint"].rstrip("/")
    submission = client.model("Submission").from_dict({"data": {"word": "straße"}})
    with local.emulator.http() as http:
        refused = client.call("process", http, at, body=submission)
        health = client.call("get_health", http, at)
        token = access_token(session().client, outputs["processing"])
        http.headers["Authorization"] = f"Bearer {token}"
        valid = client.call("validate", http, at, body=submission)
        accepted = client.call("process", http, at, body=submission, idempotency_key=uuid4().hex)
        done = until(
            lambda: (
                found
                if (found := client.call("get_job", http, at, id=accepted.parsed.id).parsed).status.value == "processed"
                else None
            )
        )
        page = client.call("list_results", http, at, limit=1)
        upload = client.model("UploadRequest").from_dict({"content_type": "text/plain"})
        form = client.call("create_upload", http, at, body=upload)
        large = client.model("Submission").from_dict({"data": {"number": 1e300}})
        faulty = client.call("validate", http, at, body=large)
        # And a result that was lost
        session().client("s3").delete_object(
            Bucket=outputs["processing"]["BucketName"], Key=f"processed/{accepted.parsed.id}.json"
        )
        lost = client.call("get_job", http, at, id=accepted.parsed.id)
    assert (refused.status_code, refused.parsed.message) == (401, "Unauthorized")
    assert health.parsed.status == "ok"
    assert valid.parsed.status.value == "validated"
    assert done.result.to_dict() == {"word": "STRASSE"}
    assert page.parsed.results
    assert form.parsed.fields.to_dict()
    assert (faulty.parsed.status, [error.field for error in faulty.parsed.errors]) == (400, ["/data/number"])
    assert (lost.status_code, lost.parsed.status.value) == (200, "failed")
    assert lost.parsed.reason


def test_the_aws_cli_signs_in_and_fetches_a_result(
    local: LocalEnvironment, http: httpx.Client, outputs: Outputs, session: Any, tmp_path: Path
) -> None:
    # Given a user
    name, found = f"cli-{uuid4().hex[:8]}", outputs["processing"]
    user(session(), found["UserPoolId"], name)
    # When the CLI signs in, and its token is used
    signed_in = aws_cli(
        local.emulator,
        tmp_path,
        *("cognito-idp", "initiate-auth", "--client-id", found["UserPoolClientId"]),
        *("--auth-flow", "USER_PASSWORD_AUTH", "--auth-parameters", f"USERNAME={name},PASSWORD={PASSWORD}"),
    )
    token = json.loads(signed_in.stdout)["AuthenticationResult"]["AccessToken"]
    headers = {"Authorization": f"Bearer {token}"}
    accepted = http.post(f"{found['ApiEndpoint']}process", json={"data": {"a": "b"}}, headers=headers)
    assert accepted.status_code == 202, accepted.text
    place = accepted.url.join(accepted.headers["Location"])
    until(lambda: http.get(place, headers=headers).json()["status"] == "processed")
    # Then it fetches the result
    fetched = aws_cli(
        local.emulator, tmp_path, "s3", "cp", f"s3://{found['BucketName']}/processed/{accepted.json()['id']}.json", "-"
    )
    assert json.loads(fetched.stdout) == {"a": "B"}


def user(session: boto3.Session, pool: str, name: str) -> None:
    cognito = session.client("cognito-idp")
    attributes: Any = [{"Name": "email", "Value": f"{name}@example.com"}, {"Name": "email_verified", "Value": "true"}]
    cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS", UserAttributes=attributes)
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)


@pytest.mark.parametrize("alias", ["{name}", "{name}@example.com"])
def test_a_user_signs_in_without_sending_a_password(
    outputs: Outputs, http: httpx.Client, session: Any, alias: str
) -> None:
    # Given a user, and a library that speaks SRP
    name, found = f"srp-{uuid4().hex[:8]}", outputs["processing"]
    user(session(), found["UserPoolId"], name)
    cognito = session().client("cognito-idp")

    def tokens(password: str) -> Any:
        srp = AWSSRP(
            username=alias.format(name=name),
            password=password,
            pool_id=found["UserPoolId"],
            client_id=found["UserPoolClientId"],
            client=cognito,
        )
        return srp.authenticate_user()["AuthenticationResult"]

    # Then its token is taken, and a wrong password gives none
    headers = {"Authorization": f"Bearer {tokens(PASSWORD)['AccessToken']}"}
    assert http.get(f"{found['ApiEndpoint']}results", headers=headers).status_code == 200
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        tokens(f"{PASSWORD}!")


@pytest.fixture(scope="module")
def page(local: LocalEnvironment, outputs: Outputs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if missing := why_not():
        pytest.skip(missing)
    hosts = {urlsplit(outputs["processing"]["ApiEndpoint"]).hostname or ""}
    with page_elsewhere(local.emulator, tmp_path_factory.mktemp("page"), hosts) as window:
        yield window


def test_a_page_has_data_processed_with_its_token(page: Browser, outputs: Outputs, session: Any) -> None:
    token = access_token(session().client, outputs["processing"])
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "Idempotency-Key": "page"}
    at, body = f"{outputs['processing']['ApiEndpoint']}process", json.dumps({"data": {"a": "b"}})
    answer = fetch(page, at, method="POST", headers=headers, body=body)
    assert answer["status"] == 202
    assert answer["location"]
