"""Which environments may be destroyed, and in which order; `local/test_destruction.py` destroys one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

import specimen
from slipway.settings import Environment
from slipway.tasks.destruction import Destruction, DestructionError, stack_names

ACCOUNT = "123456789012"


class Session:
    """Credentials of an account."""

    def __init__(self, account: str) -> None:
        self.account = account

    def client(self, service: str, **_: str) -> Any:
        assert service == "sts"
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": self.account}


def _environment(*, disposable: bool, name: str = "blue", region: str = "eu-west-1") -> Environment:
    committed = specimen.SETTINGS.environments[0]
    stateful = committed.stateful.model_copy(update={"disposable": disposable})
    return committed.model_copy(update={"name": name, "account": ACCOUNT, "region": region, "stateful": stateful})


@pytest.mark.requirement("a disposable environment that cannot be deleted")
def test_only_a_disposable_environment_is_destroyed() -> None:
    with pytest.raises(DestructionError, match="blue is not disposable"):
        Destruction(_environment(disposable=False), Session(ACCOUNT), say=print)  # type: ignore[arg-type]


def test_credentials_must_be_of_its_account() -> None:
    with pytest.raises(DestructionError, match="belong to account 210987654321"):
        Destruction(_environment(disposable=True), Session("210987654321"), say=print)  # type: ignore[arg-type]


def test_stacks_are_deleted_before_what_they_use() -> None:
    waves = stack_names(_environment(disposable=True))
    order = {name: number for number, wave in enumerate(waves) for name, _ in wave}

    kinds = ("compute-edge-logs", "observability", "compute", "data", "security", "compute-edge-firewall")
    numbers = [order[f"blue-catalog-{kind}"] for kind in kinds]
    assert numbers == sorted(set(numbers))
    assert order["blue-foundation"] > max(numbers)


def test_stacks_of_a_longer_name_are_left_alone() -> None:
    # Given another environment in the same account, whose name starts with this one's name
    ours = {name for wave in stack_names(_environment(disposable=True)) for name, _ in wave}
    theirs = {name for wave in stack_names(_environment(disposable=True, name="blue-eu")) for name, _ in wave}

    assert not ours & theirs


# --- Concurrent changes ---


def _refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


@dataclass
class Aws:
    """CloudFormation with one stack, and S3 with its bucket, to which logs are still delivered.

    Attributes:
        status: Status of the stack; None once it is deleted.
        late: Number of logs delivered after the bucket was emptied, one during each deletion.
        kept: True if the stack retains its bucket.
    """

    status: str | None = "UPDATE_COMPLETE"
    late: int = 0
    kept: bool = False
    objects: int = 3
    bucket: bool = True
    reasons: list[str] = field(default_factory=list)

    def client(self, service: str, **_: str) -> Any:
        return self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": ACCOUNT}

    # CloudFormation

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        if StackName != "blue-catalog-data" or self.status is None:
            raise _refused("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackName": StackName, "StackStatus": self.status}]}

    def get_template(self, **_: str) -> dict[str, Any]:
        policy = {"DeletionPolicy": "Retain"} if self.kept else {}
        return {"TemplateBody": {"Resources": {"Logs": {"Type": "AWS::S3::Bucket", **policy}}}}

    def update_termination_protection(self, **_: object) -> None:
        pass

    def delete_stack(self, **_: str) -> None:
        self._log()
        if self.objects and not self.kept:
            self.status = "DELETE_FAILED"
            self.reasons.append("The bucket you tried to delete is not empty")
        else:
            self.status, self.bucket = None, self.kept

    def describe_stack_events(self, **_: str) -> dict[str, Any]:
        return {
            "StackEvents": [
                {"LogicalResourceId": "Logs", "ResourceStatus": "DELETE_FAILED", "ResourceStatusReason": reason}
                for reason in self.reasons
            ]
        }

    # S3

    def delete_objects(self, **_: object) -> dict[str, Any]:
        self.objects = 0
        return {}

    def delete_bucket(self, **_: str) -> None:
        self._log()
        if self.objects:
            raise _refused("BucketNotEmpty")
        self.bucket = False

    def get_paginator(self, operation: str) -> Any:
        return Pages(self, operation)

    def _log(self) -> None:
        if self.late:
            self.late -= 1
            self.objects += 1


@dataclass
class Pages:
    """A paginator of a list."""

    aws: Aws
    operation: str

    def paginate(self, **_: str) -> Iterator[dict[str, Any]]:
        if self.operation == "list_stack_resources":
            named = {"LogicalResourceId": "Logs", "PhysicalResourceId": "logs", "ResourceStatus": "CREATE_COMPLETE"}
            yield {"StackResourceSummaries": [{**named, "ResourceType": "AWS::S3::Bucket"}]}
        elif self.operation == "list_object_versions":
            yield {"Versions": [{"Key": f"{number}", "VersionId": "1"} for number in range(self.aws.objects)]}
        else:
            yield {}


def _destroy(aws: Aws) -> None:
    session: Any = aws
    destruction = Destruction(_environment(disposable=True), session, say=lambda _: None, poll_seconds=0)
    destruction.run(destruction.plan())


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("late", [0, 1, 2])
def test_logs_that_arrive_during_deletion_are_deleted_too(kept: bool, late: int) -> None:
    aws = Aws(kept=kept, late=late)

    _destroy(aws)

    assert (aws.status, aws.bucket) == (None, False)


@pytest.mark.parametrize(("kept", "said"), [(False, "Logs: The bucket you tried"), (True, "BucketNotEmpty")])
def test_a_bucket_that_never_stays_empty_is_reported(kept: bool, said: str) -> None:
    with pytest.raises(DestructionError, match=said):
        _destroy(Aws(kept=kept, late=100))


def test_a_stack_with_an_operation_under_way_is_left_alone() -> None:
    with pytest.raises(DestructionError, match="blue-catalog-data is UPDATE_IN_PROGRESS: wait"):
        _destroy(Aws(status="UPDATE_IN_PROGRESS"))
