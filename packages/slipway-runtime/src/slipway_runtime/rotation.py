"""Rotate the key in a secret, in the four steps of Secrets Manager. Every step may be repeated.

docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html.
"""

import hmac
import json
from typing import TYPE_CHECKING, Any, Final, TypedDict

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import Handler, lambda_handler, logger

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_PENDING: Final = "AWSPENDING"
_CURRENT: Final = "AWSCURRENT"
# At least as many bits as a signature's hash: 64 letters and digits carry 380.
_KEY_LENGTH: Final = 64


class RotationEvent(TypedDict):
    """Secrets Manager's event."""

    SecretId: str
    ClientRequestToken: str
    Step: str


class RotationError(Exception):
    """A step that cannot be carried out. Secrets Manager tries the rotation again."""


class KeyRotation:
    """The four steps for one secret, a JSON object with a key that functions read themselves.

    Args:
        client: Client of Secrets Manager.
        field: Name of the key in the JSON object.
    """

    def __init__(self, client: "SecretsManagerClient", field: str) -> None:
        self._client = client
        self._field = field

    def run(self, secret_id: str, token: str, step: str) -> None:
        """Execute a step for the version that `token` names.

        Raises:
            RotationError: The secret is not being rotated to that version, or the new value does not work.
        """
        steps = {
            "createSecret": self._create,
            "setSecret": self._set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }
        if step not in steps:
            raise RotationError("unknown step")
        stages = self._stages(secret_id)
        if token not in stages:
            raise RotationError("the secret has no such version")
        if _CURRENT in stages[token]:
            # A step that was repeated after the rotation had ended.
            return
        if _PENDING not in stages[token]:
            raise RotationError("the version is not pending")
        steps[step](secret_id, token)

    def _create(self, secret_id: str, token: str) -> None:
        self._client.get_secret_value(SecretId=secret_id, VersionStage=_CURRENT)
        try:
            self._client.get_secret_value(SecretId=secret_id, VersionId=token, VersionStage=_PENDING)
        except self._client.exceptions.ResourceNotFoundException:
            password = self._client.get_random_password(PasswordLength=_KEY_LENGTH, ExcludePunctuation=True)
            self._client.put_secret_value(
                SecretId=secret_id,
                ClientRequestToken=token,
                SecretString=json.dumps({self._field: password["RandomPassword"]}),
                VersionStages=[_PENDING],
            )

    def _set(self, secret_id: str, token: str) -> None:
        """Do nothing: the functions that sign and verify read the secret themselves, and no other party has it."""

    def _test(self, secret_id: str, token: str) -> None:
        pending = self._key(secret_id, VersionId=token, VersionStage=_PENDING)
        if len(pending) < _KEY_LENGTH:
            raise RotationError("the new key is too short")
        if hmac.compare_digest(self._key(secret_id, VersionStage=_CURRENT).encode(), pending.encode()):
            raise RotationError("the new key is the old one")

    def _finish(self, secret_id: str, token: str) -> None:
        current = next(version for version, stages in self._stages(secret_id).items() if _CURRENT in stages)
        # Secrets Manager moves AWSPREVIOUS to the version that AWSCURRENT leaves.
        self._client.update_secret_version_stage(
            SecretId=secret_id, VersionStage=_CURRENT, MoveToVersionId=token, RemoveFromVersionId=current
        )

    def _stages(self, secret_id: str) -> dict[str, list[str]]:
        secret = self._client.describe_secret(SecretId=secret_id)
        if not secret.get("RotationEnabled", True):
            raise RotationError("rotation is not enabled for the secret")
        return dict(secret.get("VersionIdsToStages", {}))

    def _key(self, secret_id: str, **version: str) -> str:
        value = self._client.get_secret_value(SecretId=secret_id, **version)
        try:
            key = json.loads(value["SecretString"])[self._field]
        except (ValueError, KeyError, TypeError):
            raise RotationError("the value does not have the format that the functions read") from None
        if not isinstance(key, str) or not key:
            raise RotationError("the value contains no key")
        return key


def rotates(field: str) -> Handler:
    """Return the handler that Secrets Manager invokes for each step of a rotation.

    Args:
        field: Name of the key in the secret's JSON object.
    """
    client = aws.client("secretsmanager")

    @lambda_handler()
    def handler(event: RotationEvent, context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
        KeyRotation(client, field).run(event["SecretId"], event["ClientRequestToken"], event["Step"])
        logger.info("rotation step done", extra={"step": event["Step"]})
        return {"step": event["Step"]}

    return handler
