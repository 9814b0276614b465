"""The test user, managed by CloudFormation's requests."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from slipway.testing.functions import Context, client_error, environment

# The module creates its clients when it is imported, from a function's environment
with environment({}):
    from slipway_runtime import test_user as function

PASSWORD = "Generated-7-and-never-written-down"
SECRET_ARN = "arn:aws:secretsmanager:us-east-1:111111111111:secret:user"


class _NamedError(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": type(self).__name__, "Message": PASSWORD}}, "Admin")


class UsernameExistsException(_NamedError):  # noqa: N818 - botocore's name
    pass


class UserNotFoundException(_NamedError):  # noqa: N818 - botocore's name
    pass


class ResourceNotFoundException(_NamedError):  # noqa: N818 - botocore's name
    pass


class FakeCognito:
    """User pools with their users' passwords."""

    class exceptions:  # noqa: N801 - as a client has them
        UsernameExistsException = UsernameExistsException
        UserNotFoundException = UserNotFoundException
        ResourceNotFoundException = ResourceNotFoundException

    def __init__(self, *pools: str) -> None:
        self.pools: dict[str, dict[str, str | None]] = {pool: {} for pool in pools}
        self.attributes: list[dict[str, str]] = []

    def admin_create_user(self, **call: Any) -> None:
        users = self._users(call)
        if call["Username"] in users:
            raise UsernameExistsException
        assert call["MessageAction"] == "SUPPRESS"
        users[call["Username"]] = None
        self.attributes = call["UserAttributes"]

    def admin_set_user_password(self, **call: Any) -> None:
        assert call["Permanent"] is True
        self._users(call)[call["Username"]] = call["Password"]

    def admin_delete_user(self, **call: Any) -> None:
        if self._users(call).pop(call["Username"], None) is None:
            raise UserNotFoundException

    def _users(self, call: dict[str, Any]) -> dict[str, str | None]:
        if call["UserPoolId"] not in self.pools:
            raise ResourceNotFoundException
        return self.pools[call["UserPoolId"]]


class FakeSecrets:
    failure: Exception | None = None

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == SECRET_ARN
        if self.failure:
            raise self.failure
        return {
            "SecretString": json.dumps(
                {"username": "test-user", "email": "test-user@example.com", "password": PASSWORD}
            )
        }


class LogContext(Context):
    log_stream_name = "stream"


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def cognito() -> FakeCognito:
    return FakeCognito("pool", "other")


@pytest.fixture
def secrets() -> FakeSecrets:
    return FakeSecrets()


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, cognito: FakeCognito, secrets: FakeSecrets) -> Ask:
    """Return a function that sends a request and returns the answer that CloudFormation receives."""
    monkeypatch.setattr(function, "user", function.TestUser(cognito, secrets))  # type: ignore[arg-type]
    answers: list[dict[str, Any]] = []

    class Response:
        def __enter__(self) -> None:
            pass

        def __exit__(self, *_: object) -> None:
            pass

    def urlopen(request: Any, *, timeout: float) -> Response:
        assert (request.get_method(), request.full_url, timeout) == ("PUT", "https://answer.example/x", 10.0)
        assert request.headers["Content-type"] == ""
        answers.append(json.loads(request.data))
        return Response()

    monkeypatch.setattr(function, "urlopen", urlopen)

    def send(request_type: str, *, pool: str = "pool", physical_id: str | None = None) -> dict[str, Any]:
        event = {
            "RequestType": request_type,
            "ResponseURL": "https://answer.example/x",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "User",
            "ResourceProperties": {"UserPoolId": pool, "SecretArn": SECRET_ARN},
        }
        if physical_id is not None:
            event["PhysicalResourceId"] = physical_id
        function.handler(event, LogContext())
        return answers[-1]

    return send


def test_user_is_created_with_the_generated_password(ask: Ask, cognito: FakeCognito) -> None:
    # When CloudFormation creates it
    answer = ask("Create")
    # Then it can sign in immediately, by name or by its verified address
    assert cognito.pools["pool"] == {"test-user": PASSWORD}
    assert {"Name": "email_verified", "Value": "true"} in cognito.attributes
    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == "pool/test-user"
    assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == ("stack", "request", "User")
    assert answer["NoEcho"] is True


def test_a_repeated_request_changes_nothing(ask: Ask, cognito: FakeCognito) -> None:
    assert ask("Create") == ask("Create")
    assert cognito.pools["pool"] == {"test-user": PASSWORD}


def test_an_update_sets_the_password_again(ask: Ask, cognito: FakeCognito) -> None:
    ask("Create")
    cognito.pools["pool"]["test-user"] = "another"
    assert ask("Update", physical_id="pool/test-user")["PhysicalResourceId"] == "pool/test-user"
    assert cognito.pools["pool"] == {"test-user": PASSWORD}


def test_user_in_another_pool_is_another_resource(ask: Ask, cognito: FakeCognito) -> None:
    # Given a pool that was replaced
    ask("Create")
    answer = ask("Update", pool="other", physical_id="pool/test-user")
    # Then CloudFormation will delete the user of the old pool
    assert answer["PhysicalResourceId"] == "other/test-user"
    assert ask("Delete", physical_id="pool/test-user")["Status"] == "SUCCESS"
    assert cognito.pools == {"pool": {}, "other": {"test-user": PASSWORD}}


@pytest.mark.parametrize("physical_id", ["pool/test-user", "gone/test-user", "stream"])
def test_deleting_a_missing_user_succeeds(ask: Ask, physical_id: str) -> None:
    answer = ask("Delete", physical_id=physical_id)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", physical_id)


@pytest.mark.parametrize("failure", [client_error("AccessDeniedException", "GetSecretValue"), RuntimeError(PASSWORD)])
def test_a_failure_is_answered_without_secrets(
    ask: Ask, secrets: FakeSecrets, logs: io.StringIO, failure: Exception
) -> None:
    # Given a secret that cannot be read
    secrets.failure = failure
    # When CloudFormation sends a request, then it gets an answer instead of waiting for a timeout
    answer = ask("Create")
    assert answer["Status"] == "FAILED"
    assert "stream" in answer["Reason"]
    output = logs.getvalue()
    assert output
    assert PASSWORD not in json.dumps(answer) + output
    assert "nobody" not in json.dumps(answer) + output


def test_neither_answer_nor_log_contains_the_password(ask: Ask, logs: io.StringIO) -> None:
    answer = ask("Create")
    output = logs.getvalue()
    assert output
    assert PASSWORD not in json.dumps(answer) + output
