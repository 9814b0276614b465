"""Differences between stacks and their templates, as CloudFormation detects them.

CloudFormation compares the properties that a template sets with what the resources have now
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html). It ignores defaults, types
without drift detection, and the contents of nested stacks, which are therefore compared one by one here. It reads with
the caller's permissions. A resource that it could not read is reported, not assumed to be in sync.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

POLL_SECONDS = 5.0
WAIT_SECONDS = 780.0
"""Maximum total duration of the detections, seconds: a function runs for at most fifteen minutes."""
_ABSENT = "does not exist"
_NESTED = "AWS::CloudFormation::Stack"


@dataclass(frozen=True)
class PropertyDifference:
    """A property whose value differs from the template.

    Attributes:
        path: Path of the property, such as `/MemorySize`.
        expected: The template's value; JSON unless it is a string.
        actual: The resource's value.
    """

    path: str
    expected: str
    actual: str


@dataclass(frozen=True)
class DriftedResource:
    """A resource that differs from its template, or that was deleted."""

    stack: str
    logical_id: str
    name: str
    """Its physical id."""
    type: str
    deleted: bool
    differences: tuple[PropertyDifference, ...]

    def lines(self) -> Iterator[str]:
        """Yield its description, line by line."""
        place = f"{self.stack}: {self.logical_id} ({self.type}, {self.name})"
        if self.deleted:
            yield f"{place} was deleted"
        for each in self.differences:
            yield f"{place}: {each.path} is {each.actual or 'not set'}, not {each.expected or 'unset'}"


@dataclass(frozen=True)
class DriftReport:
    """Detected differences.

    Attributes:
        stacks: Names of the compared stacks.
        drifted: The resources that differ.
        unread: Resources that could not be compared, each with the reason.
    """

    stacks: tuple[str, ...]
    drifted: tuple[DriftedResource, ...]
    unread: tuple[str, ...]


def detect_drift(
    client: CloudFormationClient,
    stacks: Sequence[str],
    *,
    wait_seconds: float = WAIT_SECONDS,
    poll_seconds: float = POLL_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
    skips: tuple[str, ...] = (),
) -> DriftReport:
    """Compare stacks, and those nested in them, with their templates.

    Args:
        client: CloudFormation in the stacks' account and region.
        stacks: Names of the stacks; missing ones are skipped.
        wait_seconds: Maximum duration of the detections.
        poll_seconds: Pause between two polls.
        sleep: Waits for a number of seconds.
        skips: Prefixes of types that the caller may not read and that are not reported as unread. Default: none.
    """
    unread: list[str] = []
    begun: dict[str, str] = {}
    for stack in stacks:
        for name in _with_nested(client, stack, unread):
            try:
                begun[name] = client.detect_stack_drift(StackName=name)["StackDriftDetectionId"]
            except ClientError as error:
                unread.append(f"{name}: {error.response['Error'].get('Message', error)}")
    deadline = time.monotonic() + wait_seconds
    drifted: list[DriftedResource] = []
    for name, identifier in begun.items():
        reason = _ended(client, identifier, deadline, poll_seconds, sleep)
        if reason is None:
            unread.append(f"{name}: the detection did not end in time")
            continue
        before = len(unread)
        found, unknown = _drifted(client, name, unread, skips)
        drifted += found
        if reason and not unknown and len(unread) == before:
            # No resource gives the reason.
            unread.append(f"{name}: {reason}")
    return DriftReport(tuple(begun), tuple(drifted), tuple(unread))


def _with_nested(client: CloudFormationClient, stack: str, unread: list[str]) -> Iterator[str]:
    """Yield a stack and those nested in it, without missing ones."""
    try:
        pages = list(client.get_paginator("list_stack_resources").paginate(StackName=stack))
    except ClientError as error:
        message = error.response["Error"].get("Message", str(error))
        if _ABSENT not in message:
            unread.append(f"{stack}: {message}")
        return
    yield stack
    for resource in (each for page in pages for each in page["StackResourceSummaries"]):
        if resource["ResourceType"] == _NESTED and (name := resource.get("PhysicalResourceId")):
            yield from _with_nested(client, name, unread)


def _ended(
    client: CloudFormationClient, identifier: str, deadline: float, poll: float, sleep: Callable[[float], None]
) -> str | None:
    """Wait for a detection; return the reason if it failed, "" if it succeeded, None if it takes too long."""
    while True:
        found = client.describe_stack_drift_detection_status(StackDriftDetectionId=identifier)
        if found["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            failed = found["DetectionStatus"] == "DETECTION_FAILED"
            return found.get("DetectionStatusReason", "the detection failed") if failed else ""
        if time.monotonic() >= deadline:
            return None
        sleep(poll)


def _drifted(
    client: CloudFormationClient, stack: str, unread: list[str], skips: tuple[str, ...]
) -> tuple[list[DriftedResource], int]:
    """Return the resources that differ, and those that could not be read."""
    found, unknown = [], 0
    for resource in _drifts(client, stack):
        status, kind = resource["StackResourceDriftStatus"], resource["ResourceType"]
        if status == "UNKNOWN":
            unknown += 1
            reason = resource.get("DriftStatusReason", "CloudFormation could not read it")
            if not kind.startswith(skips):
                unread.append(f"{stack}: {resource['LogicalResourceId']} ({kind}): {reason}")
        if status in {"DELETED", "MODIFIED"}:
            differences = resource.get("PropertyDifferences", [])
            found.append(
                DriftedResource(
                    stack=stack,
                    logical_id=resource["LogicalResourceId"],
                    name=resource.get("PhysicalResourceId", ""),
                    type=kind,
                    deleted=status == "DELETED",
                    differences=tuple(
                        PropertyDifference(each["PropertyPath"], each["ExpectedValue"], each["ActualValue"])
                        for each in differences
                    ),
                )
            )
    return found, unknown


def _drifts(client: CloudFormationClient, stack: str) -> Iterator[Mapping[str, Any]]:
    """Yield the drift of each resource; boto3 has no paginator for it."""
    token: dict[str, str] = {}
    while True:
        found = client.describe_stack_resource_drifts(StackName=stack, **token)  # type: ignore[arg-type]  # a name and a text
        yield from found["StackResourceDrifts"]
        if "NextToken" not in found:
            return
        token = {"NextToken": found["NextToken"]}
