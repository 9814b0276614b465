"""Contract of every API whose tables can't be reached: it answers that it is unavailable, and reveals no more.

The app subclasses `OutageContract` in its own local tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import boto3
import pytest

from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.contract.http import OPERATIONS, OfOperations, Sender
from slipway.testing.problems import read_problem

SERVICES = sorted({operation.service for operation in OPERATIONS})


class OutageContract(OfOperations):
    """The suite. Subclass it in a module of the app's local tests, under a name that pytest collects."""

    @pytest.mark.parametrize("service", SERVICES)
    def test_unreachable_tables_reveal_nothing_internal(
        self,
        send: Sender,
        local: LocalEnvironment,
        session: Callable[..., boto3.Session],
        outputs: Outputs,
        service: str,
    ) -> None:
        operations = [operation for operation in OPERATIONS if operation.service == service]
        function = outputs[service]["ApiFunctionArn"]
        # Given the answers of a healthy service, and a function that may no longer reach its tables
        sound = [send(operation).status_code for operation in operations]
        with denied(session(), function, "dynamodb:*"):
            local.emulator.recycle(function.split(":")[6])
            answers = [send(operation) for operation in operations]
        # Then routes that need no table answer as before, and the others answer with a problem that only says to try
        # again
        away = [answer for answer, before in zip(answers, sound, strict=True) if answer.status_code != before]
        assert away
        for answer in away:
            problem = read_problem(answer, 503)
            assert "detail" not in problem
            assert "Error" not in answer.text
            assert answer.headers.get("retry-after") == "1" or answer.url.path.endswith("/health")
        # And afterwards it works again
        local.emulator.recycle(function.split(":")[6])
        assert [send(operation).status_code for operation in operations] == sound


@contextmanager
def denied(root: boto3.Session, function: str, action: str) -> Iterator[None]:
    """Remove a permission from a function's role for a while."""
    role = root.client("lambda").get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    iam, name = root.client("iam"), "denied"
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
