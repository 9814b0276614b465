"""Rotates the secret that signs cursors, in the four steps of Secrets Manager."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import logger, tracer


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Carry out one step."""
    secret, token, client = event["SecretId"], event["ClientRequestToken"], aws.client("secretsmanager")
    versions = client.describe_secret(SecretId=secret)["VersionIdsToStages"]
    current = next(version for version, stages in versions.items() if "AWSCURRENT" in stages)
    if event["Step"] == "createSecret" and current != token:
        password = client.get_random_password(PasswordLength=64, ExcludePunctuation=True)["RandomPassword"]
        client.put_secret_value(
            SecretId=secret,
            ClientRequestToken=token,
            SecretString=json.dumps({"key": password}),
            VersionStages=["AWSPENDING"],
        )
    if event["Step"] == "finishSecret" and current != token:
        client.update_secret_version_stage(
            SecretId=secret, VersionStage="AWSCURRENT", MoveToVersionId=token, RemoveFromVersionId=current
        )


startup.finished()
