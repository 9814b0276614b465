"""The expiry function deletes a sandbox: one wave per call, its own stack last, and nothing that hasn't expired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from slipway.delivery.runtime.expiry import ExpiredSandbox

NOW = datetime(2026, 12, 3, 18, 5, tzinfo=UTC)
WAVES = [
    [["dev-anna-items-observability", "eu-central-1"], ["dev-anna-ingest-observability", "eu-central-1"]],
    [["dev-anna-items-data", "eu-central-1"]],
    [["dev-anna-items-compute-edge-firewall", "us-east-1"]],
    [["dev-anna-foundation", "eu-central-1"]],
]


class Account:
    """CloudFormation and S3 of an account; a deletion takes one call, and fails if a bucket isn't empty."""

    def __init__(self, expires: str | None = "2026-12-03T18:00:00Z") -> None:
        self.stacks = {(name, region): "CREATE_COMPLETE" for wave in WAVES for name, region in wave}
        self.expires = expires
        self.objects = {"bucket": [{"Key": f"object-{number}", "VersionId": "1"} for number in range(1_500)]}
        self.uploads = [{"Key": "half", "UploadId": "u"}]
        self.deleted: list[str] = []

    def client(self, service: str, region: str) -> Any:
        return CloudFormation(self, region) if service == "cloudformation" else S3(self)

    def settle(self) -> None:
        """Complete the deletions that are in progress."""
        self.stacks = {key: status for key, status in self.stacks.items() if status != "DELETE_IN_PROGRESS"}


class CloudFormation:
    def __init__(self, account: Account, region: str) -> None:
        self._account, self._region = account, region

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's names
        status = self._account.stacks.get((StackName, self._region))
        if status is None:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        tags = [{"Key": "Expires", "Value": self._account.expires}] if self._account.expires else []
        return {"Stacks": [{"StackName": StackName, "StackStatus": status, "Tags": tags}]}

    def delete_stack(self, *, StackName: str) -> None:  # noqa: N803
        if StackName.endswith("-data"):
            assert not self._account.objects["bucket"], "the bucket is not empty"
            assert not self._account.uploads
        self._account.deleted.append(StackName)
        self._account.stacks[StackName, self._region] = "DELETE_IN_PROGRESS"

    def get_paginator(self, _: str) -> CloudFormation:
        return self

    def paginate(self, *, StackName: str) -> list[dict[str, Any]]:  # noqa: N803
        kept = {"ResourceType": "AWS::S3::Bucket", "PhysicalResourceId": "bucket", "ResourceStatus": "CREATE_COMPLETE"}
        gone = {**kept, "PhysicalResourceId": "gone", "ResourceStatus": "DELETE_COMPLETE"}
        return [{"StackResourceSummaries": [kept, gone] if StackName.endswith("-data") else []}]


class S3:
    class exceptions:  # noqa: N801 - botocore's name
        class NoSuchBucket(Exception):  # noqa: N818 - botocore's name
            pass

    def __init__(self, account: Account) -> None:
        self._account = account

    def get_paginator(self, _: str) -> S3:
        return self

    def paginate(self, *, Bucket: str) -> list[dict[str, Any]]:  # noqa: N803
        return [{"Versions": list(self._account.objects[Bucket]), "DeleteMarkers": []}]

    def delete_objects(self, *, Bucket: str, Delete: Mapping[str, Any]) -> None:  # noqa: N803
        assert len(Delete["Objects"]) <= 1_000
        for each in Delete["Objects"]:
            self._account.objects[Bucket].remove(each)

    def list_multipart_uploads(self, *, Bucket: str) -> dict[str, Any]:  # noqa: N803
        return {"Uploads": list(self._account.uploads)} if Bucket == "bucket" else {}

    def abort_multipart_upload(self, *, Bucket: str, Key: str, UploadId: str) -> None:  # noqa: N803
        assert (Bucket, Key, UploadId) == ("bucket", "half", "u")
        self._account.uploads.clear()


def step(account: Account) -> list[str]:
    return ExpiredSandbox(WAVES, account.client, NOW).step()


def test_waves_end_in_order_and_own_stack_last() -> None:
    account = Account()

    for _ in WAVES:
        assert step(account)
        account.settle()

    assert account.deleted == [name for wave in WAVES for name, _ in wave]
    assert not account.stacks
    assert step(account) == []


def test_next_wave_waits_for_the_one_before() -> None:
    account = Account()
    step(account)

    assert step(account) == [
        "dev-anna-items-observability: waits for DELETE_IN_PROGRESS",
        "dev-anna-ingest-observability: waits for DELETE_IN_PROGRESS",
    ]
    assert len(account.deleted) == 2


def test_failed_deletion_is_tried_again() -> None:
    account = Account()
    account.stacks = {("dev-anna-items-data", "eu-central-1"): "DELETE_FAILED"}

    assert step(account) == ["dev-anna-items-data: deleting"]


def test_sandbox_with_more_time_is_left_alone() -> None:
    account = Account(expires="2026-12-04T18:00:00Z")

    assert all("is kept" in said for said in step(account))
    assert not account.deleted


def test_stack_without_the_tag_is_left_alone() -> None:
    account = Account(expires=None)

    step(account)

    assert not account.deleted
