"""Delete an expired sandbox: empty its buckets and delete its stacks, one wave per call.

A schedule calls it every few minutes from the day on which the sandbox expires. Each call does what can be done without
waiting, so it is short, and the next call retries what failed. The last stack that it deletes is its own, with
the schedule.

It deletes only stacks whose tag `Expires` has a time that has passed: a sandbox that was extended in the meantime is
kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from slipway_runtime import aws
from slipway_runtime.telemetry import lambda_handler, logger

TAG = "Expires"
"""Tag of every stack of a sandbox that expires."""

_PAGE = 1000

Clients = Callable[[str, str], Any]
"""Makes a client, given the service and the region."""


class ExpiredSandbox:
    """An expired sandbox.

    Args:
        waves: Name and region of each stack, by wave, in the order of deletion.
        clients: Makes the clients.
        now: The current time.
    """

    def __init__(self, waves: Sequence[Sequence[Sequence[str]]], clients: Clients, now: datetime) -> None:
        self._waves, self._clients, self._now = waves, clients, now

    def step(self) -> list[str]:
        """Do what can be done now, and return the actions by stack."""
        for wave in self._waves:
            found = [(name, region, stack) for name, region in wave if (stack := self._stack(name, region))]
            if not found:
                continue
            return [f"{name}: {self._end(name, region, stack)}" for name, region, stack in found]
        return []

    def _end(self, name: str, region: str, stack: Mapping[str, Any]) -> str:
        if stack["StackStatus"].endswith("_IN_PROGRESS"):
            return f"waits for {stack['StackStatus']}"
        tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
        if TAG not in tags or datetime.fromisoformat(tags[TAG]) > self._now:
            return f"is kept: it expires {tags.get(TAG, 'never')}"
        for bucket in self._buckets(name, region):
            self._empty(bucket, region)
        # CloudFormation uses the role of the last deployment, so none is passed.
        self._clients("cloudformation", region).delete_stack(StackName=name)
        return "deleting"

    def _stack(self, name: str, region: str) -> Mapping[str, Any] | None:
        try:
            (stack,) = self._clients("cloudformation", region).describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            # CloudFormation's answer for an unknown name.
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise
        described: Mapping[str, Any] = stack
        return None if described["StackStatus"] == "DELETE_COMPLETE" else described

    def _buckets(self, name: str, region: str) -> Iterator[str]:
        pages = self._clients("cloudformation", region).get_paginator("list_stack_resources").paginate(StackName=name)
        for page in pages:
            for resource in page["StackResourceSummaries"]:
                there = resource["ResourceStatus"] != "DELETE_COMPLETE" and resource.get("PhysicalResourceId")
                if resource["ResourceType"] == "AWS::S3::Bucket" and there:
                    yield resource["PhysicalResourceId"]

    def _empty(self, bucket: str, region: str) -> None:
        s3 = self._clients("s3", region)
        try:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
                for start in range(0, len(found), _PAGE):
                    objects = [
                        {"Key": each["Key"], "VersionId": each["VersionId"]} for each in found[start : start + _PAGE]
                    ]
                    s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        except s3.exceptions.NoSuchBucket:
            return


@lambda_handler()
def handler(_event: Mapping[str, Any], _context: LambdaContext) -> list[str]:
    """Delete the sandbox that the variables name, as far as possible now."""
    waves = json.loads(os.environ["WAVES"])
    done = ExpiredSandbox(waves, lambda service, region: aws.client_in(region, service), datetime.now(UTC)).step()
    logger.info("sandbox expires", extra={"done": done or ["nothing is left"]})
    return done
