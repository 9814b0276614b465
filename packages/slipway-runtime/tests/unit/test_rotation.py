"""Rotating a key, step by step as Secrets Manager requests."""

import json
from typing import Any

import pytest

from slipway.testing.functions import Context, client_error
from slipway_runtime import aws
from slipway_runtime.rotation import KeyRotation, RotationError, rotates


class Secret:
    """A secret with its versions."""

    class exceptions:  # noqa: N801 - botocore's name
        class ResourceNotFoundException(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.values = {"old": json.dumps({"key": "o" * 64})}
        self.stages = {"old": ["AWSCURRENT"], "new": ["AWSPENDING"]}
        self.enabled = True
        self.password = "n" * 64

    def describe_secret(self, **_: Any) -> dict[str, Any]:
        return {"RotationEnabled": self.enabled, "VersionIdsToStages": self.stages}

    def get_secret_value(self, *, SecretId: str, VersionStage: str, VersionId: str = "") -> dict[str, Any]:  # noqa: N803
        for version, stages in self.stages.items():
            if VersionStage in stages and VersionId in {"", version} and version in self.values:
                return {"SecretString": self.values[version]}
        raise self.exceptions.ResourceNotFoundException

    def get_random_password(self, **call: Any) -> dict[str, str]:
        assert call == {"PasswordLength": 64, "ExcludePunctuation": True}
        return {"RandomPassword": self.password}

    def put_secret_value(self, **call: Any) -> None:
        assert call["ClientRequestToken"] not in self.values
        self.values[call["ClientRequestToken"]] = call["SecretString"]
        assert call["VersionStages"] == ["AWSPENDING"]

    def update_secret_version_stage(self, **call: Any) -> None:
        assert call["VersionStage"] == "AWSCURRENT"
        self.stages[call["RemoveFromVersionId"]] = ["AWSPREVIOUS"]
        self.stages[call["MoveToVersionId"]] = ["AWSCURRENT", "AWSPENDING"]


@pytest.fixture
def secret() -> Secret:
    return Secret()


def run(secret: Secret, *steps: str, version: str = "new") -> None:
    steps_of = KeyRotation(secret, "key")  # type: ignore[arg-type]
    for step in steps:
        steps_of.run("secret", version, step)


STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@pytest.mark.requirement("secrets")
def test_four_steps_rotate_the_key(secret: Secret) -> None:
    run(secret, *STEPS)
    assert json.loads(secret.values["new"]) == {"key": "n" * 64}
    assert "AWSCURRENT" in secret.stages["new"]
    assert secret.stages["old"] == ["AWSPREVIOUS"]


def test_every_step_can_be_repeated(secret: Secret) -> None:
    run(secret, *(step for step in STEPS for _ in range(2)))
    run(secret, *STEPS)
    assert secret.stages["old"] == ["AWSPREVIOUS"]


@pytest.mark.parametrize(
    "value", ["no json", "[]", "{}", '{"key": 7}', '{"key": ""}', '{"key": "short"}', json.dumps({"key": "o" * 64})]
)
def test_a_key_that_does_not_work_never_becomes_current(secret: Secret, value: str) -> None:
    secret.values["new"] = value
    with pytest.raises(RotationError):
        run(secret, "testSecret")


def test_an_unknown_token_is_refused(secret: Secret) -> None:
    with pytest.raises(RotationError, match="no such version"):
        run(secret, "createSecret", version="other")


def test_a_version_that_is_not_pending_is_refused(secret: Secret) -> None:
    secret.stages["new"] = []
    with pytest.raises(RotationError, match="not pending"):
        run(secret, "createSecret")


def test_without_rotation_nothing_is_done(secret: Secret) -> None:
    secret.enabled = False
    with pytest.raises(RotationError, match="not enabled"):
        run(secret, "createSecret")


def test_an_unknown_step_is_refused(secret: Secret) -> None:
    with pytest.raises(RotationError, match="unknown step"):
        run(secret, "deleteSecret")


def test_a_step_fails_if_secrets_manager_fails(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise client_error("InternalServiceError", "PutSecretValue")

    monkeypatch.setattr(secret, "put_secret_value", fail)
    with pytest.raises(Exception, match="InternalServiceError"):
        run(secret, "createSecret")


def test_the_function_carries_out_the_requested_step(secret: Secret, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "client", lambda _: secret)
    handler = rotates("key")
    for step in STEPS:
        handler({"SecretId": "s", "ClientRequestToken": "new", "Step": step}, Context())
    assert "AWSCURRENT" in secret.stages["new"]
