"""Signing in as the test user."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.processing import sign_in
from slipway.testing.sign_in import SignInError, access_token

OUTPUTS = {"TestUserSecretArn": "secret", "UserPoolClientId": "client"}


class FakeAws:
    def __init__(self, answer: dict[str, Any] | None = None) -> None:
        self.answer = answer or {"AuthenticationResult": {"AccessToken": "token", "IdToken": "other"}}

    def __call__(self, service: str) -> "FakeAws":
        assert service in {"secretsmanager", "cognito-idp"}
        return self

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == "secret"
        return {"SecretString": json.dumps({"username": "u", "password": "p"})}

    def initiate_auth(self, **call: Any) -> dict[str, Any]:
        assert call["ClientId"] == "client"
        assert call["AuthParameters"] == {"USERNAME": "u", "PASSWORD": "p"}
        return self.answer


@pytest.mark.requirement("processing: users")
def test_it_gives_an_access_token() -> None:
    assert access_token(FakeAws(), OUTPUTS) == "token"


@pytest.mark.parametrize("missing", OUTPUTS)
def test_without_a_test_user_it_says_what_is_missing(missing: str) -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != missing}
    with pytest.raises(SignInError, match=missing):
        access_token(FakeAws(), outputs)


def test_a_challenge_is_no_token() -> None:
    with pytest.raises(SignInError, match="NEW_PASSWORD_REQUIRED"):
        access_token(FakeAws({"ChallengeName": "NEW_PASSWORD_REQUIRED"}), OUTPUTS)


class TestCommandLine:
    def run(self, outputs: Path) -> Any:
        return CliRunner().invoke(sign_in.app, ["--outputs", str(outputs)])

    def test_it_prints_the_token_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("boto3.client", FakeAws())
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps({"processing": OUTPUTS}))
        result = self.run(file)
        assert (result.exit_code, result.stdout) == (0, "token\n")

    @pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"processing": {}}', '{"processing": []}'])
    def test_without_outputs_it_says_why_in_a_line(self, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "outputs.json"
        if content is not None:
            file.write_text(content)
        result = self.run(file)
        assert result.exit_code == 1
        assert result.stderr.startswith("no token: ")
        assert len(result.stderr.splitlines()) == 1
        assert not result.stdout
