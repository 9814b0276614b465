"""Signing in as the test user."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.testing.sign_in import SignInError, access_token, print_token

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
def test_sign_in_returns_an_access_token() -> None:
    assert access_token(FakeAws(), OUTPUTS) == "token"


@pytest.mark.parametrize("missing", OUTPUTS)
def test_without_a_test_user_it_says_what_is_missing(missing: str) -> None:
    outputs = {name: value for name, value in OUTPUTS.items() if name != missing}
    with pytest.raises(SignInError, match=missing):
        access_token(FakeAws(), outputs)


def test_a_challenge_is_reported_instead_of_a_token() -> None:
    with pytest.raises(SignInError, match="NEW_PASSWORD_REQUIRED"):
        access_token(FakeAws({"ChallengeName": "NEW_PASSWORD_REQUIRED"}), OUTPUTS)


class TestElsewhere:
    def test_it_prints_the_token_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("boto3.client", FakeAws())
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps({"studio": OUTPUTS}))

        print_token("studio", "dev", file)

        assert capsys.readouterr().out == "token\n"

    @pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"studio": {}}', '{"studio": []}'])
    def test_without_outputs_it_says_why(self, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "outputs.json"
        if content is not None:
            file.write_text(content)

        with pytest.raises(SignInError) as caught:
            print_token("studio", "dev", file)
        assert len(str(caught.value).splitlines()) == 1
