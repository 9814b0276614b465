"""The pipeline's steps and functions call AWS's APIs on an emulator of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import boto3
import pytest

import specimen
from slipway.delivery.runtime.memory import TableMemory
from slipway.emulator.server import Emulator, isolate
from slipway.tasks.protection import OPEN_POLICY, STACK_POLICY, open_stack, protect, protected_stacks, read_back
from slipway.tasks.verification import outputs

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """Create an empty account."""
    isolate()
    folder = tmp_path_factory.mktemp("emulator")
    emulator = Emulator(specimen.PROD.account, specimen.PROD.region, folder / "prod", tls=folder / "tls")
    emulator.start()
    try:
        yield emulator.session()
    finally:
        emulator.stop()


@pytest.fixture
def memory(account: boto3.Session) -> Iterator[TableMemory]:
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(
        TableName="memory",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    yield TableMemory("memory", dynamodb)
    dynamodb.delete_table(TableName="memory")


@pytest.fixture(scope="module")
def stacks(account: boto3.Session) -> list[str]:
    """Deploy the stateful stacks of a service without any protection, as CDK Pipelines does."""
    cloudformation = account.client("cloudformation")
    template = {
        "Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}},
        "Outputs": {
            "BucketName": {"Value": {"Ref": "Bucket"}},
            "PublishOutputRefBucket": {"Value": {"Ref": "Bucket"}},
        },
    }
    names = protected_stacks("prod", ["items"])
    for name in (*names, "prod-foundation", "prod-items-compute", "prod-items-observability"):
        cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    return names


@pytest.mark.requirement("no accidental loss of stateful resources", "protection")
def test_protection_is_set(account: boto3.Session, stacks: list[str]) -> None:
    # Given unprotected stacks
    cloudformation = account.client("cloudformation")
    assert {read_back(cloudformation, stack).termination_protection for stack in stacks} == {False}

    # When the step after the deployment runs
    protect(cloudformation, stacks, termination_protection=True)

    # Then CloudFormation reports them as protected
    for stack in stacks:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        assert described["EnableTerminationProtection"] is True
        assert json.loads(cloudformation.get_stack_policy(StackName=stack)["StackPolicyBody"]) == STACK_POLICY
        with pytest.raises(cloudformation.exceptions.ClientError, match=r"[Tt]ermination"):
            cloudformation.delete_stack(StackName=stack)


@pytest.mark.requirement("protection")
def test_the_next_run_closes_an_opened_stack(account: boto3.Session, stacks: list[str]) -> None:
    cloudformation = account.client("cloudformation")
    open_stack(cloudformation, stacks[1])
    assert read_back(cloudformation, stacks[1]).policy == OPEN_POLICY

    protect(cloudformation, stacks, termination_protection=True)

    assert read_back(cloudformation, stacks[1]).policy == STACK_POLICY


@pytest.mark.requirement("tests after each environment")
def test_a_service_is_found_by_the_outputs_of_its_stacks(account: boto3.Session, stacks: list[str]) -> None:
    found = outputs(account.client("cloudformation"), specimen.PROD, "items")

    assert set(found) == {"foundation", "items"}
    assert set(found["items"]) == {"BucketName"}


def test_a_key_is_new_once(memory: TableMemory) -> None:
    assert [memory.first_time("deployment#prod#one") for _ in range(3)] == [True, False, False]
    assert memory.first_time("deployment#prod#two")


def test_a_value_is_stored_until_it_is_deleted(memory: TableMemory) -> None:
    assert memory.get("broken#prod") is None
    memory.put("broken#prod", "2026-11-20T12:00:00+00:00")
    assert memory.get("broken#prod") == "2026-11-20T12:00:00+00:00"
    memory.put("broken#prod", None)
    assert memory.get("broken#prod") is None


@pytest.mark.requirement("bake and rollback")
def test_alarms_are_counted_by_their_latest_state(memory: TableMemory) -> None:
    def at(minutes: int) -> datetime:
        return NOON + timedelta(minutes=minutes)

    assert memory.set_alarm("prod", "one", at=at(1), in_alarm=True) == 1
    assert memory.set_alarm("prod", "two", at=at(2), in_alarm=True) == 2
    # The same event again
    assert memory.set_alarm("prod", "two", at=at(2), in_alarm=True) == 2
    # It has ended
    assert memory.set_alarm("prod", "one", at=at(5), in_alarm=False) == 1
    # A late event changes nothing
    assert memory.set_alarm("prod", "one", at=at(3), in_alarm=True) == 1
    # Environments are counted separately
    assert memory.set_alarm("staging", "one", at=at(1), in_alarm=False) == 0
    # The counts as read each minute, including an environment without alarms
    assert [memory.alarms_on(name) for name in ("dev", "staging", "prod")] == [0, 0, 1]
