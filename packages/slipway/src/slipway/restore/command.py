"""Restore the data of a service beside the current data: `slipway restore`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.delivery.names import DATA, log_bucket_name, service_stack
from slipway.emulator.sessions import environment_named, services_named, session_of
from slipway.errors import UsageError
from slipway.restore.buckets import check_bucket, restore_bucket
from slipway.restore.comparison import RestoredCopy
from slipway.restore.tables import LONGEST_NAME, RestoreError, check_table, restore_table
from slipway.settings import Environment

if TYPE_CHECKING:
    import boto3

_TABLE, _BUCKET = "AWS::DynamoDB::Table", "AWS::S3::Bucket"
_LONGEST_BUCKET = 63


def restore(  # noqa: PLR0917  # typer reads a command's options from its parameters
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[str, typer.Option(help="Service whose tables and bucket are restored.")],
    to: Annotated[datetime, typer.Option("--to", help="Point in time, UTC: 2026-11-30T14:05:00.")],
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="AWS profile of the environment's account. Default: the emulator."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Delete the copies after the comparison, as for a drill.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Restore a service's tables and bucket to a point in time beside the current ones, and compare.

    The current data is not changed. Exit code: 0 if everything was restored and compared, whatever the differences.
    """
    settings = config.load()
    environment = environment_named(settings, env)
    services_named(environment, [service])
    moment = to if to.tzinfo else to.replace(tzinfo=UTC)
    session = session_of(settings, environment, profile)
    resources = data_of(session, environment, service)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    check_resources(session, resources, moment)
    for kind, name in resources:
        console.print(f"{name} → {copy_name(name, kind, moment)}", markup=False)
    console.print("The current data is not changed. The copies cost as much as the originals.", markup=False)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("cannot ask for confirmation without a terminal; pass --yes")
        typer.confirm(f"Restore {service} of {env} as of {moment:%Y-%m-%d %H:%M:%S} UTC?", abort=True)
    poll = 5.0 if profile is not None else 0.1
    copies = restore_resources(session, resources, moment, console=console, poll_seconds=poll)
    if remove:
        remove_copies(session, resources, moment)
        console.print("the copies are deleted", markup=False)
    if json_file is not None:
        output.write([asdict(each) for each in copies], json_file)
    if output.prints(json_file):
        return
    for each in copies:
        for line in each.lines():
            Console(soft_wrap=True, highlight=False).print(line, markup=False)


def copy_name(name: str, kind: str, moment: datetime) -> str:
    """Return the name of the copy of a table or bucket.

    Args:
        name: Name of the original.
        kind: Its resource type.
        moment: The point in time.
    """
    end = f"-{moment:%Y%m%d%H%M%S}"
    return name[: (_LONGEST_BUCKET if kind == _BUCKET else LONGEST_NAME) - len(end)] + end


def data_of(session: boto3.Session, environment: Environment, service: str) -> list[tuple[str, str]]:
    """Return resource type and name of a service's tables and buckets, without the bucket of its access logs.

    Args:
        session: Session in the environment's account.
        environment: Settings of the environment.
        service: Name of the service.

    Raises:
        RestoreError: It has none.
    """
    stack = service_stack(environment.name, service, DATA)
    pages = session.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack)
    found = [
        (resource["ResourceType"], resource["PhysicalResourceId"])
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceType"] in {_TABLE, _BUCKET} and "PhysicalResourceId" in resource
    ]
    found = [each for each in found if each[1] != log_bucket_name(environment, service)]
    if not found:
        raise RestoreError(f"{stack} has neither a table nor a bucket")
    return sorted(found)


def check_resources(session: boto3.Session, resources: Sequence[tuple[str, str]], moment: datetime) -> None:
    """Check that all tables and buckets can be restored to a point in time, before starting.

    Raises:
        RestoreError: One cannot.
    """
    for kind, name in resources:
        if kind == _TABLE:
            check_table(session.client("dynamodb"), name, moment)
        else:
            check_bucket(session.client("s3"), name)


def restore_resources(
    session: boto3.Session,
    resources: Sequence[tuple[str, str]],
    moment: datetime,
    *,
    console: Console,
    poll_seconds: float,
) -> list[RestoredCopy]:
    """Restore tables and buckets beside the current ones, and compare.

    Args:
        session: Session in the environment's account and region.
        resources: Resource type and name of each.
        moment: The point in time.
        console: Shows each step.
        poll_seconds: Pause between two polls.
    """

    def say(text: str) -> None:
        console.print(text, markup=False)

    copies = []
    for kind, name in resources:
        copy = copy_name(name, kind, moment)
        if kind == _TABLE:
            client = session.client("dynamodb")
            copies.append(restore_table(client, name, copy, moment, say=say, poll_seconds=poll_seconds))
        else:
            region = session.region_name or ""
            copies.append(restore_bucket(session.client("s3"), name, copy, moment, region=region, say=say))
    return copies


def remove_copies(session: boto3.Session, resources: Sequence[tuple[str, str]], moment: datetime) -> None:
    """Delete the copies of tables and buckets with their contents."""
    for kind, name in resources:
        copy = copy_name(name, kind, moment)
        if kind == _TABLE:
            session.client("dynamodb").delete_table(TableName=copy)
            continue
        client = session.client("s3")
        for page in client.get_paginator("list_object_versions").paginate(Bucket=copy):
            for each in page.get("Versions", []):
                client.delete_object(Bucket=copy, Key=each["Key"], VersionId=each["VersionId"])
        client.delete_bucket(Bucket=copy)
