"""Stacks are protected, and people can open one for an update with a recorded reason."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.stub import Stubber

from slipway.cli import main
from slipway.tasks.protection import (
    OPEN_POLICY,
    STACK_POLICY,
    ProtectionError,
    open_stack,
    protect,
    protected_stacks,
)


def client() -> Any:
    return boto3.client(
        "cloudformation", region_name="us-east-1", aws_access_key_id="unit", aws_secret_access_key="unit"
    )


def described(*, on: bool) -> dict[str, Any]:
    stack = {
        "StackName": "prod-items-data",
        "CreationTime": "2026-01-01T00:00:00Z",
        "StackStatus": "CREATE_COMPLETE",
        "EnableTerminationProtection": on,
    }
    return {"Stacks": [stack]}


def setting(cloudformation: Any, *, reads_policy: dict[str, Any] | None, reads_on: bool) -> Stubber:
    """Return a stubbed CloudFormation that accepts the protection and then reads back the given state."""
    stubber = Stubber(cloudformation)
    stubber.add_response(
        "update_termination_protection",
        {"StackId": "arn"},
        {"StackName": "prod-items-data", "EnableTerminationProtection": True},
    )
    stubber.add_response(
        "set_stack_policy", {}, {"StackName": "prod-items-data", "StackPolicyBody": json.dumps(STACK_POLICY)}
    )
    stubber.add_response("describe_stacks", described(on=reads_on), {"StackName": "prod-items-data"})
    body = {} if reads_policy is None else {"StackPolicyBody": json.dumps(reads_policy)}
    stubber.add_response("get_stack_policy", body, {"StackName": "prod-items-data"})
    return stubber


@pytest.mark.requirement("protection")
def test_the_stateful_stacks_of_every_service_are_protected() -> None:
    assert protected_stacks("prod", ["items", "ingest"]) == [
        "prod-items-security",
        "prod-items-data",
        "prod-ingest-security",
        "prod-ingest-data",
    ]


@pytest.mark.requirement("no accidental loss of stateful resources")
def test_the_policy_protects_resources_with_data() -> None:
    allow, deny = STACK_POLICY["Statement"]

    assert (allow["Effect"], allow["Action"]) == ("Allow", "Update:*")
    assert (deny["Effect"], set(deny["Action"])) == ("Deny", {"Update:Delete", "Update:Replace"})
    assert set(deny["Condition"]["StringEquals"]["ResourceType"]) >= {
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::S3::Bucket",
        "AWS::SecretsManager::Secret",
    }


def test_protection_is_read_back_after_it_is_set() -> None:
    cloudformation = client()

    with setting(cloudformation, reads_policy=STACK_POLICY, reads_on=True) as calls:
        (read,) = protect(cloudformation, ["prod-items-data"], termination_protection=True)

    calls.assert_no_pending_responses()
    assert read.termination_protection
    assert read.policy == STACK_POLICY


@pytest.mark.requirement("protection")
@pytest.mark.parametrize(("policy", "on"), [(STACK_POLICY, False), (None, True), (OPEN_POLICY, True)])
def test_different_protection_read_back_is_an_error(policy: dict[str, Any] | None, on: bool) -> None:
    cloudformation = client()

    with (
        setting(cloudformation, reads_policy=policy, reads_on=on),
        pytest.raises(ProtectionError, match="prod-items-data"),
    ):
        protect(cloudformation, ["prod-items-data"], termination_protection=True)


def test_an_opened_stack_lets_its_next_update_through() -> None:
    cloudformation = client()
    with Stubber(cloudformation) as stubber:
        stubber.add_response(
            "set_stack_policy", {}, {"StackName": "prod-items-data", "StackPolicyBody": json.dumps(OPEN_POLICY)}
        )
        open_stack(cloudformation, "prod-items-data")
        stubber.assert_no_pending_responses()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    return main(arguments)


class Person:
    """A person's session: who they are, and the calls that CloudFormation received from them."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.cloudformation = Mock()
        self.agents: list[str] = []

    def __call__(self, **_: Any) -> Person:
        return self

    def client(self, service: str, config: Any = None) -> Any:
        if service == "sts":
            return Mock(get_caller_identity=Mock(return_value={"Account": self.account}))
        self.agents.append(config.user_agent_extra)
        return self.cloudformation


OPEN = ("open", "--env", "prod", "--stack", "prod-items-data")


def test_person_opens_a_stack_with_a_recorded_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    person = Person("777788889999")
    monkeypatch.setattr(boto3, "Session", person)

    assert run(monkeypatch, *OPEN, "--reason", "table gets a new key, ticket 42") == 0

    person.cloudformation.set_stack_policy.assert_called_once_with(
        StackName="prod-items-data", StackPolicyBody=json.dumps(OPEN_POLICY)
    )
    assert person.agents == ["slipway-protection-open/table-gets-a-new-key-ticket-42"]


@pytest.mark.parametrize(
    ("arguments", "account", "says"),
    [
        ((*OPEN, "--reason", "x"), "777788889999", "--reason"),
        ((*OPEN, "--reason", "a good reason"), "111122223333", "111122223333"),
        (
            ("open", "--env", "prod", "--stack", "prod-items-compute", "--reason", "a good reason"),
            "777788889999",
            "--stack",
        ),
        (("open", "--env", "prod", "--stack", "dev-items-data", "--reason", "for a test"), "777788889999", "--stack"),
        (
            ("open", "--env", "qa", "--stack", "qa-items-data", "--reason", "a good reason"),
            "777788889999",
            "unknown environment 'qa'",
        ),
        (("protect", "--env", "qa", "--service", "items"), "777788889999", "unknown environment 'qa'"),
    ],
)
def test_nothing_is_opened_by_mistake(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    account: str,
    says: str,
) -> None:
    person = Person(account)
    monkeypatch.setattr(boto3, "Session", person)

    assert run(monkeypatch, *arguments) == 1

    assert not person.cloudformation.mock_calls
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
