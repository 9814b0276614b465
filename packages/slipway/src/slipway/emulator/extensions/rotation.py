"""Rotate secrets as Secrets Manager does: a pending version without a value, and the function's four steps.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import lambda_svc, secretsmanager

from slipway.emulator.extensions.functions import Record
from slipway.emulator.extensions.patches import wrap

logger = logging.getLogger("ministack")

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")
PRINCIPAL = "secretsmanager.amazonaws.com"
PENDING = "AWSPENDING"


def _rotate(original: Callable[..., Any], data: Record) -> Any:
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    function_arn = data.get("RotationLambdaARN") or (secret or {}).get("RotationLambdaARN")
    if secret is None or secret.get("DeletedDate") or not function_arn:
        return original(data)
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if function is None or not _may_invoke(function_arn, secret["ARN"]):
        return error_response_json(
            "AccessDeniedException",
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants "
            f"access to the principal {PRINCIPAL}.",
            400,
        )
    secret["RotationLambdaARN"], secret["RotationEnabled"] = function_arn, True
    secret["RotationRules"] = data.get("RotationRules") or secret.get("RotationRules")
    pending, _ = secretsmanager._find_stage_version(secret, PENDING)
    current, _ = secretsmanager._find_stage_version(secret, "AWSCURRENT")
    if pending is None or pending == current:
        pending = data.get("ClientRequestToken") or new_uuid()
        empty = {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": [PENDING]}
        secret["Versions"][pending] = empty
    record = lambda_svc._execution_record_for_config(function, {**config, "FunctionArn": function_arn})
    run = contextvars.copy_context().run
    threading.Thread(target=run, args=(_run_steps, record, secret["ARN"], pending), daemon=True).start()
    return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": pending})


def _run_steps(record: Record, secret_arn: str, token: str) -> None:
    for step in STEPS:
        event = {"Step": step, "SecretId": secret_arn, "ClientRequestToken": token}
        result = lambda_svc._execute_function_with_config_scope(record, event)
        if result.get("error"):
            # The version stays pending; the next rotation continues with it.
            logger.warning("rotation of %s failed in %s: %s", secret_arn, step, result.get("body"))
            return


def _may_invoke(function_arn: str, secret_arn: str) -> bool:
    """Return True if the function's policy lets Secrets Manager invoke it for the secret."""
    found = lambda_svc.function_policy_for_arn(function_arn)
    if found is None:
        return False
    request = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=get_region(),
        service_context={"aws:sourcearn": secret_arn, "aws:sourceaccount": get_account_id()},
    )
    return bool(iam_evaluator.evaluate_resource_policy(found[0], request, service=PRINCIPAL).decision == "Allow")


def _get_value(original: Callable[..., Any], data: Record) -> Any:
    """Return a version's value. A pending version without a value is not found."""
    _, secret = secretsmanager._resolve(data.get("SecretId"))
    stage = data.get("VersionStage", "AWSCURRENT")
    token = data.get("VersionId") or (secretsmanager._find_stage_version(secret, stage)[0] if secret else None)
    version = (secret or {}).get("Versions", {}).get(token)
    if version is not None and version.get("SecretString") is None and version.get("SecretBinary") is None:
        return error_response_json(
            "ResourceNotFoundException",
            f"Secrets Manager can't find the specified secret value for VersionId: {token}",
            400,
        )
    return original(data)


def install() -> None:
    """Make the emulator rotate secrets in the same way.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(secretsmanager, "_rotate_secret", _rotate, "data")
    wrap(secretsmanager, "_get_secret_value", _get_value, "data")
