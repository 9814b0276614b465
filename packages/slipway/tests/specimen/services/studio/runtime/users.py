"""Custom resource that makes the test user (`Custom::TestUser`)."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import json
from typing import Any
from urllib.request import Request, urlopen

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import logger, tracer


def _apply(event: dict[str, Any]) -> str:
    pool = event["ResourceProperties"]["UserPoolId"]
    secret = aws.client("secretsmanager").get_secret_value(SecretId=event["ResourceProperties"]["SecretArn"])
    user, cognito = json.loads(secret["SecretString"]), aws.client("cognito-idp")
    if event["RequestType"] == "Delete":
        cognito.admin_delete_user(UserPoolId=pool, Username=user["username"])
    elif event["RequestType"] == "Create":
        cognito.admin_create_user(
            UserPoolId=pool,
            Username=user["username"],
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": user["email"]}, {"Name": "email_verified", "Value": "true"}],
        )
        cognito.admin_set_user_password(
            UserPoolId=pool, Username=user["username"], Password=user["password"], Permanent=True
        )
    return f"{pool}/{user['username']}"


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Carry out a request of CloudFormation, and always answer it."""
    body = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body |= {"Status": "SUCCESS", "PhysicalResourceId": event.get("PhysicalResourceId") or context.log_stream_name}
    try:
        body["PhysicalResourceId"] = _apply(event)
    except Exception as error:  # noqa: BLE001 - a request without an answer holds its stack for an hour
        body |= {"Status": "FAILED", "Reason": type(error).__name__}
    # The address is CloudFormation's own.
    request = Request(event["ResponseURL"], json.dumps(body).encode(), {"Content-Type": ""}, method="PUT")  # noqa: S310
    with urlopen(request, timeout=10):  # noqa: S310  # nosec B310  # an https address of CloudFormation's
        logger.info("answered")


startup.finished()
