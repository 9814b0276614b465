"""Custom resource that makes the test user (`Custom::TestUser`).

The password is read from the secret and set; it appears in no event, answer or log.
docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html. Every request may be repeated.
"""

from slipway_runtime.startup import finished

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypedDict
from urllib.request import Request, urlopen

from aws_lambda_powertools.utilities.typing import LambdaContext

from slipway_runtime import aws
from slipway_runtime.telemetry import error_name, lambda_handler, logger

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

_ANSWER_SECONDS: Final = 10.0


class ResourceEvent(TypedDict):
    """CloudFormation's request."""

    RequestType: str
    ResponseURL: str
    StackId: str
    RequestId: str
    LogicalResourceId: str
    ResourceProperties: Mapping[str, str]


class TestUser:
    """The user of a pool whose name and password are in a secret.

    Args:
        cognito: Client of Cognito user pools.
        secrets: Client of Secrets Manager.
    """

    # pytest would take the class for a test otherwise.
    __test__ = False

    def __init__(self, cognito: "CognitoIdentityProviderClient", secrets: "SecretsManagerClient") -> None:
        self._cognito = cognito
        self._secrets = secrets

    def apply(self, request_type: str, properties: Mapping[str, str], physical_id: str) -> str:
        """Execute a request.

        Returns:
            The resource's id, `<pool>/<user>`. If it differs from the former id, CloudFormation deletes the former.
        """
        if request_type == "Delete":
            self._delete(physical_id)
            return physical_id
        return self._put(properties["UserPoolId"], properties["SecretArn"])

    def _put(self, pool_id: str, secret_arn: str) -> str:
        user = json.loads(self._secrets.get_secret_value(SecretId=secret_arn)["SecretString"])
        name = str(user["username"])
        try:
            self._cognito.admin_create_user(
                UserPoolId=pool_id,
                Username=name,
                MessageAction="SUPPRESS",
                UserAttributes=[
                    {"Name": "email", "Value": str(user["email"])},
                    {"Name": "email_verified", "Value": "true"},
                ],
            )
        except self._cognito.exceptions.UsernameExistsException:
            logger.info("test user already exists")
        self._cognito.admin_set_user_password(
            UserPoolId=pool_id, Username=name, Password=str(user["password"]), Permanent=True
        )
        return f"{pool_id}/{name}"

    def _delete(self, physical_id: str) -> None:
        pool_id, slash, name = physical_id.partition("/")
        if not slash:
            # The user's creation failed, so CloudFormation made up the id.
            return
        try:
            self._cognito.admin_delete_user(UserPoolId=pool_id, Username=name)
        except (
            self._cognito.exceptions.UserNotFoundException,
            self._cognito.exceptions.ResourceNotFoundException,
        ):
            logger.info("test user was already deleted")


user = TestUser(aws.client("cognito-idp"), aws.client("secretsmanager"))


@lambda_handler()
def handler(event: ResourceEvent, context: LambdaContext) -> None:
    """Execute a request of CloudFormation and answer it, even if it fails."""
    physical_id = str(event.get("PhysicalResourceId") or context.log_stream_name)
    answer: dict[str, Any] = {"Status": "SUCCESS"}
    try:
        physical_id = user.apply(event["RequestType"], event["ResourceProperties"], physical_id)
    except Exception as error:  # noqa: BLE001 - a request without an answer holds its stack for an hour
        name = error_name(error)
        logger.error("request failed", extra={"request_type": event["RequestType"], "error": name})
        answer = {"Status": "FAILED", "Reason": f"{name}; see log stream {context.log_stream_name}"}
    _answer(event, answer | {"PhysicalResourceId": physical_id, "NoEcho": True})


def _answer(event: ResourceEvent, answer: Mapping[str, Any]) -> None:
    names = ("StackId", "RequestId", "LogicalResourceId")
    body = {name: event[name] for name in names} | dict(answer)  # type: ignore[literal-required]
    # The address is CloudFormation's: a presigned URL, whose signature covers an empty content type.
    request = Request(  # noqa: S310
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""}
    )
    with urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310  # nosec B310  # CloudFormation's own address
        logger.info("answered", extra={"status": answer["Status"]})


finished()
