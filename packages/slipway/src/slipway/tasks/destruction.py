"""Empty and delete an environment that its file declares disposable, and no other.

    slipway destroy --env dev

It shows what it will delete and asks for confirmation, unless `--yes` is passed. It uses the caller's own credentials
for the environment's account, and exits with 0 only if nothing is left.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.delivery.names import deletion_waves
from slipway.errors import SlipwayError
from slipway.settings import Environment

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

ATTEMPTS = 3
"""Attempts to empty a bucket: AWS may write another log while it is deleted."""

POLL_SECONDS = 5.0

DELETE_MINUTES = 45
"""Time-out of deleting a stack; a distribution takes longest."""

_BUCKET, _KEY = "AWS::S3::Bucket", "AWS::KMS::Key"

# Types that are deleted together with another resource, although their own policy retains them.
_GOES_WITH_ANOTHER = frozenset({"AWS::Lambda::Version"})

Say = Callable[[str], None]


class DestructionError(SlipwayError):
    """The environment was not destroyed, or not completely. The message gives the reasons, one line each."""


@dataclass(frozen=True)
class RetainedResource:
    """A resource that outlives its stack, by its deletion policy."""

    type: str
    name: str
    """Its physical id."""


@dataclass(frozen=True)
class PlannedStack:
    """A stack that will be deleted."""

    name: str
    region: str
    status: str
    buckets: tuple[str, ...]
    """Buckets to empty first."""
    kept: tuple[RetainedResource, ...]
    """Resources to delete afterwards."""


def stack_names(environment: Environment) -> list[list[tuple[str, str]]]:
    """Return the name and region of every stack that an environment may have, in waves, in the order of deletion.

    Args:
        environment: Settings of the environment.
    """
    return deletion_waves(environment, sorted(environment.services.names))


class Destruction:
    """Deletes the stacks of a disposable environment, and the resources that they retain.

    Args:
        environment: Settings of the environment.
        session: Credentials of its account.
        say: Called with each step.
        poll_seconds: Pause between two polls of a stack.

    Raises:
        DestructionError: The environment is not disposable, or the credentials belong to another account.
    """

    def __init__(
        self, environment: Environment, session: boto3.Session, *, say: Say, poll_seconds: float = POLL_SECONDS
    ) -> None:
        if not environment.stateful.disposable:
            raise DestructionError(
                f"{environment.name} is not disposable: set disposable = true under [stateful] in its file to "
                f"allow this"
            )
        account = session.client("sts", region_name=environment.region).get_caller_identity()["Account"]
        if account != environment.account:
            raise DestructionError(
                f"these credentials belong to account {account}, but {environment.name} is {environment.account}"
            )
        self._environment, self._session = environment, session
        self._say, self._poll_seconds = say, poll_seconds

    def plan(self) -> list[list[PlannedStack]]:
        """Return the existing stacks, in waves, in order of deletion.

        Raises:
            DestructionError: An operation on one of them is in progress.
        """
        waves = [
            [planned for name, region in wave if (planned := self._planned(name, region)) is not None]
            for wave in stack_names(self._environment)
        ]
        busy = [
            f"{stack.name} is {stack.status}: wait until that has ended"
            for wave in waves
            for stack in wave
            if stack.status.endswith("_IN_PROGRESS")
        ]
        if busy:
            raise DestructionError("\n".join(busy))
        return [wave for wave in waves if wave]

    def run(self, waves: Sequence[Sequence[PlannedStack]]) -> None:
        """Delete the stacks, and the resources that they retain.

        Args:
            waves: The planned stacks.

        Raises:
            DestructionError: Something is left. The message names all of it.
        """
        left: list[str] = []
        for wave in waves:
            for stack in wave:
                self._start(stack)
            left += [reason for stack in wave if (reason := self._finish(stack)) is not None]
            if left:
                # Later stacks cannot delete what a remaining stack still uses.
                break
            for stack in wave:
                left += [f"{kept.type} {kept.name}: {reason}" for kept, reason in self._delete_kept(stack)]
        left += [f"{name} in {region} still exists" for name, region in self._still_there() if not left]
        if left:
            raise DestructionError("\n".join(left))

    def _client(self, region: str) -> CloudFormationClient:
        return self._session.client("cloudformation", region_name=region)

    def _described(self, name: str, region: str) -> StackTypeDef | None:
        try:
            (stack,) = self._client(region).describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            # CloudFormation's answer for an unknown name.
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise
        return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack

    def _planned(self, name: str, region: str) -> PlannedStack | None:
        stack = self._described(name, region)
        if stack is None:
            return None
        client = self._client(region)
        resources = {
            resource["LogicalResourceId"]: RetainedResource(resource["ResourceType"], resource["PhysicalResourceId"])
            for page in client.get_paginator("list_stack_resources").paginate(StackName=name)
            for resource in page["StackResourceSummaries"]
            if resource.get("PhysicalResourceId") and resource["ResourceStatus"] != "DELETE_COMPLETE"
        }
        template: Any = client.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
        if not isinstance(template, dict):
            raise DestructionError(f"{name}: its template is not JSON, so the resources that it retains are unknown")
        policies = _deletion_policies(template)
        return PlannedStack(
            name=name,
            region=region,
            status=stack["StackStatus"],
            buckets=tuple(sorted(found.name for found in resources.values() if found.type == _BUCKET)),
            kept=tuple(
                found
                for logical_id, found in resources.items()
                if policies.get(logical_id, "Delete") != "Delete" and found.type not in _GOES_WITH_ANOTHER
            ),
        )

    def _start(self, stack: PlannedStack) -> None:
        client = self._client(stack.region)
        client.update_termination_protection(StackName=stack.name, EnableTerminationProtection=False)
        for bucket in stack.buckets:
            self._empty(bucket, stack.region)
        self._say(f"{stack.name}: deleting")
        client.delete_stack(StackName=stack.name)

    def _finish(self, stack: PlannedStack) -> str | None:
        """Wait for the end of a deletion; return the reason of a failure, or None once the stack is deleted."""
        for attempt in range(ATTEMPTS):
            status = self._wait(stack)
            if status is None:
                self._say(f"{stack.name}: deleted")
                return None
            if attempt + 1 < ATTEMPTS and status == "DELETE_FAILED" and stack.buckets:
                self._start(stack)
        return f"{stack.name} is {status}: {self._reasons(stack)}"

    def _wait(self, stack: PlannedStack) -> str | None:
        ends = time.monotonic() + 60 * DELETE_MINUTES
        while True:
            described = self._described(stack.name, stack.region)
            if described is None:
                return None
            status = described["StackStatus"]
            if status != "DELETE_IN_PROGRESS" or time.monotonic() > ends:
                return status
            time.sleep(self._poll_seconds)

    def _reasons(self, stack: PlannedStack) -> str:
        """Return CloudFormation's reasons for resources that it could not delete."""
        events = self._client(stack.region).describe_stack_events(StackName=stack.name)["StackEvents"]
        failed = {
            event["LogicalResourceId"]: event.get("ResourceStatusReason", "no reason given")
            for event in reversed(events)
            if event.get("ResourceStatus") == "DELETE_FAILED"
        }
        return "; ".join(f"{logical_id}: {reason}" for logical_id, reason in failed.items()) or "no reason given"

    def _delete_kept(self, stack: PlannedStack) -> Iterator[tuple[RetainedResource, str]]:
        """Delete the retained resources of a deleted stack; yield those that could not be deleted, and why."""
        for kept in stack.kept:
            try:
                done = self._delete(kept, stack.region)
            except (BotoCoreError, ClientError) as error:
                if _is_absent(error):
                    continue
                yield kept, str(error)
                continue
            if done is None:
                yield kept, f"delete it manually: {stack.name} retained it, and this verb does not support its type"
            else:
                self._say(f"{stack.name}: {done}")

    def _delete(self, kept: RetainedResource, region: str) -> str | None:
        """Delete one resource; return what was done, or None for an unsupported type."""
        session, name = self._session, kept.name
        match kept.type:
            case "AWS::S3::Bucket":
                self._delete_bucket(name, region)
            case "AWS::KMS::Key":
                return self._schedule(name, region)
            case "AWS::Logs::LogGroup":
                session.client("logs", region_name=region).delete_log_group(logGroupName=name)
            case "AWS::DynamoDB::Table":
                session.client("dynamodb", region_name=region).delete_table(TableName=name)
            case "AWS::SecretsManager::Secret":
                session.client("secretsmanager", region_name=region).delete_secret(
                    SecretId=name, ForceDeleteWithoutRecovery=True
                )
            case "AWS::Cognito::UserPool":
                session.client("cognito-idp", region_name=region).delete_user_pool(UserPoolId=name)
            case _:
                return None
        return f"{kept.type} {name} deleted"

    def _schedule(self, key: str, region: str) -> str:
        client = self._session.client("kms", region_name=region)
        if client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion":
            return f"{_KEY} {key} is already scheduled for deletion"
        days = self._environment.stateful.key_deletion_window_days
        client.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)
        return f"{_KEY} {key} will be deleted in {days} days"

    def _delete_bucket(self, name: str, region: str) -> None:
        client: S3Client = self._session.client("s3", region_name=region)
        for attempt in range(ATTEMPTS):
            self._empty(name, region)
            try:
                client.delete_bucket(Bucket=name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "BucketNotEmpty" or attempt + 1 == ATTEMPTS:
                    raise
            else:
                return

    def _empty(self, bucket: str, region: str) -> None:
        """Delete every version, delete marker and unfinished upload of a bucket."""
        client: S3Client = self._session.client("s3", region_name=region)
        count = 0
        try:
            for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
                entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                objects: list[ObjectIdentifierTypeDef] = [
                    {"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries
                ]
                if not objects:
                    continue
                answer = client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
                for error in answer.get("Errors", []):
                    raise DestructionError(f"{bucket}/{error.get('Key')}: {error.get('Code')} {error.get('Message')}")
                count += len(objects)
            for uploads in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
                for upload in uploads.get("Uploads", []):
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                    count += 1
        except ClientError as error:
            if not _is_absent(error):
                raise
        if count:
            self._say(f"{bucket}: {count} versions, markers and uploads deleted")

    def _still_there(self) -> Iterator[tuple[str, str]]:
        for wave in stack_names(self._environment):
            yield from ((name, region) for name, region in wave if self._described(name, region) is not None)


def _deletion_policies(template: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the deletion policies by logical id, for resources that have one."""
    resources = template.get("Resources", {})
    return {key: str(body["DeletionPolicy"]) for key, body in resources.items() if "DeletionPolicy" in body}


def _is_absent(error: Exception) -> bool:
    """Return True if an AWS error says that the resource does not exist."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return code in {"NoSuchBucket", "NotFoundException", "ResourceNotFoundException"}


def table(waves: Sequence[Sequence[PlannedStack]]) -> Table:
    """Return the plan as a table, in the order in which it is carried out."""
    lines = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for column in ("stack", "region", "state", "permanently deleted with it"):
        lines.add_column(column, overflow="fold")
    for stack in (stack for wave in waves for stack in wave):
        emptied = [f"all of bucket {bucket}" for bucket in stack.buckets]
        kept = [f"{each.type.rpartition('::')[2]} {each.name}" for each in stack.kept if each.name not in stack.buckets]
        lines.add_row(stack.name, stack.region, stack.status, "\n".join([*emptied, *kept]) or "all its resources")
    return lines


def destroy(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Show what will be deleted, ask for confirmation, delete it, and report leftovers."""
    console = Console(highlight=False, soft_wrap=True)
    environment = _environment(env)
    destruction = Destruction(
        environment, boto3.Session(region_name=environment.region), say=lambda line: console.print(line, markup=False)
    )
    waves = destruction.plan()
    if not waves:
        console.print(f"{env} in {environment.account} has no stack: nothing to do", markup=False)
        return
    console.print(table(waves))
    _ask(f"Delete {env} in account {environment.account}, with everything in it?", yes=yes)
    destruction.run(waves)
    console.print(f"{env} is deleted; the pipeline creates it again with the next change", markup=False)


def _ask(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise DestructionError(
            "nothing was deleted: cannot ask for confirmation without a terminal; pass --yes (YES=yes)"
        )
    if not typer.confirm(question):
        raise DestructionError("nothing was deleted")


def _environment(name: str) -> Environment:
    settings = config.load()
    try:
        return settings.environment(name)
    except KeyError:
        known = ", ".join(environment.name for environment in settings.environments)
        raise DestructionError(f"--env {name}: unknown; choose from {known}") from None
