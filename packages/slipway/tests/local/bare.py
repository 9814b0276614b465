"""An empty account, with helpers to create roles, functions and stacks in it."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from slipway.emulator.server import Emulator, isolate

Statement = Mapping[str, Any]
T = TypeVar("T")

_LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}


def allow(resource: str | list[str], *actions: str) -> Statement:
    """Return a statement that allows actions on a resource."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


LOGS = allow("*", "logs:CreateLogStream", "logs:PutLogEvents")


@dataclass(frozen=True)
class Account:
    """An account, used through its root."""

    emulator: Emulator

    def client(self, service: Any) -> Any:
        return self.emulator.session().client(service)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.emulator.region}:{self.emulator.account}:{resource}"

    def role(self, *statements: Statement) -> str:
        """Create a role for functions and return its ARN."""
        iam, name = self.client("iam"), f"role-{uuid4().hex[:12]}"
        trust = {"Version": "2012-10-17", "Statement": [_LAMBDA]}
        arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        self.permit(arn, *statements)
        return arn

    def permit(self, role_arn: str, *statements: Statement) -> None:
        """Replace a role's statements with these."""
        nothing = {"Effect": "Deny", "Action": "none:None", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": list(statements) or [nothing]}
        name = role_arn.rpartition("/")[2]
        self.client("iam").put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps(document))

    def function(self, role_arn: str, code: str, **settings: Any) -> str:
        """Create a function and return its name; `code` defines `handler(event, context)`."""
        name, content = f"function-{uuid4().hex[:12]}", io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("code.py", code)
        self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.14",
            Role=role_arn,
            Handler="code.handler",
            Code={"ZipFile": content.getvalue()},
            **{"Timeout": 10, **settings},
        )
        return name

    def invoke(self, function: str, event: Any = None, **settings: Any) -> Any:
        """Invoke a function and return its response or its error."""
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode(), **settings)
        return json.loads(answer["Payload"].read())

    def key(self, *services: str) -> str:
        """Create a key for the account and these services, and return its ARN."""
        root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{self.emulator.account}:root"}}
        service = {"Effect": "Allow", "Principal": {"Service": list(services)}}
        statements = [{**each, "Action": "kms:*", "Resource": "*"} for each in (root, service)][: 2 if services else 1]
        policy = {"Version": "2012-10-17", "Statement": statements}
        arn: str = self.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
        return arn

    def queue(self, **attributes: str) -> tuple[str, str]:
        """Create a queue and return its address and ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=f"queue-{uuid4().hex[:12]}", Attributes=attributes)["QueueUrl"]
        return url, self.arn("sqs", url.rpartition("/")[2])

    def messages(self, url: str) -> list[Any]:
        """Return the bodies of a queue's messages, which stay in the queue."""
        found = self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in found.get("Messages", [])]

    def deploy(self, name: str, resources: Mapping[str, Any], outputs: Mapping[str, Any] | None = None) -> str | None:
        """Create or update a stack.

        Returns:
            Why the operation failed; None if it succeeded.
        """
        formation = self.client("cloudformation")
        template = json.dumps({"Resources": resources, **({"Outputs": outputs} if outputs else {})})
        known = [stack["StackName"] for stack in formation.describe_stacks()["Stacks"]]
        before = len(formation.describe_stack_events(StackName=name)["StackEvents"]) if name in known else 0
        begin = formation.update_stack if name in known else formation.create_stack
        begin(StackName=name, TemplateBody=template)
        return self.ended(name, after=before)

    def ended(self, name: str, *, after: int = 0) -> str | None:
        """Wait for the end of a stack's operation, and return why it failed; None if it succeeded.

        Args:
            name: Name of the stack.
            after: Number of its events that belong to earlier operations.
        """
        formation = self.client("cloudformation")

        def status() -> str | None:
            (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
            return None if stack["StackStatus"].endswith("IN_PROGRESS") else str(stack["StackStatus"])

        if until(status) in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            return None
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        events = events[: len(events) - after]
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return str(failed[-1].get("ResourceStatusReason", ""))


def emulated_account(number: str = "444444444444", region: str = "us-east-1") -> Any:
    """Return a fixture with an account in an emulator of its own, for the tests of a module."""

    @pytest.fixture(scope="module")
    def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
        isolate()
        folder = tmp_path_factory.mktemp("account")
        emulator = Emulator(number, region, folder / "emulator", tls=folder / "tls")
        emulator.start()
        try:
            yield Account(emulator)
        finally:
            emulator.stop()

    return account


def until(look: Callable[[], T | None], seconds: float = 20) -> T:
    """Call `look` until it returns something, and return that."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"nothing after {seconds} s")
