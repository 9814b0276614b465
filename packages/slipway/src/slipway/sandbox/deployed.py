"""Sandboxes in the AWS account of a development environment, each with a last day."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

from slipway import project
from slipway.emulator.deploy import CDK, failure
from slipway.errors import RehearsalError
from slipway.narrowing import NARROWED
from slipway.process import Progress, follow
from slipway.settings import Environment, Settings
from slipway.settings.sandbox import SandboxError, WantedSandbox, derive
from slipway.tasks.destruction import Destruction

MOST_DAYS = 30
"""Maximum lifetime of a sandbox per call, days."""

FOLDER = project.ROOT / "build" / "sandboxes"
"""Folder of the sandboxes' assemblies."""


@dataclass(frozen=True)
class DeployedStacks:
    """A sandbox in an account.

    Attributes:
        environment: Name of its environment.
        expires: Time of its deletion.
        stacks: Names of its stacks.
    """

    environment: str
    expires: str
    stacks: tuple[str, ...]


class DeployedSandbox:
    """A sandbox in the account of its development environment.

    Args:
        settings: The configuration, without the sandbox.
        name: Name of the sandbox.
        of: Name of the development environment.
        days: Lifetime in days.
        now: The current time. Default: the clock's.

    Raises:
        SandboxError: The name or the environment is not allowed.
    """

    def __init__(self, settings: Settings, name: str, *, of: str, days: int = 1, now: datetime | None = None) -> None:
        if not 1 <= days <= MOST_DAYS:
            raise SandboxError(f"--days {days}: must be 1 to {MOST_DAYS}; run `up` again later to extend the sandbox")
        ends = (now or datetime.now(UTC)) + timedelta(days=days)
        self.wanted = WantedSandbox(name, of, expires=ends.strftime("%Y-%m-%dT%H:%M:00Z"))
        (self.environment,) = derive(settings, self.wanted).environments
        self.folder = FOLDER / name

    def commands(self, services: Sequence[str] = ()) -> list[tuple[str, list[str], dict[str, str]]]:
        """Return the commands that deploy it, each with a description and its variables.

        Args:
            services: Names of its services; empty for all.
        """
        assembly = self.folder / "cdk.out"
        variables = {
            **os.environ,
            **self.wanted.variables,
            "CDK_VALIDATION": "false",
            "CDK_OUTDIR": str(assembly),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            **({NARROWED: " ".join(services)} if services else {}),
        }
        # Only the stages of the sandbox, without the pipeline's own stack above them.
        stacks = f"Pipeline/{self.environment.name}-*/*"
        deploy = [str(CDK), "deploy", "--app", str(assembly), stacks, "--require-approval", "never"]
        return [
            ("the build", [sys.executable, "-m", "slipway", "build"], variables),
            ("the synthesis", [sys.executable, "-O", "app.py"], variables),
            ("the deployment", [*deploy, "--concurrency", "4"], variables),
        ]

    def up(self, session: boto3.Session, services: Sequence[str], progress: Progress) -> None:
        """Deploy it with the caller's credentials, through the bootstrap roles; repeated calls extend it.

        Args:
            session: The caller's credentials.
            services: Names of its services; empty for all.
            progress: Called with each line of the commands.

        Raises:
            RehearsalError: A command failed. The message contains its last lines.
            SandboxError: The credentials belong to another account.
        """
        account = session.client("sts", region_name=self.environment.region).get_caller_identity()["Account"]
        if account != self.environment.account:
            raise SandboxError(f"these credentials belong to account {account}, but {self.wanted.of} is {self.account}")
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "up.log"
        log.unlink(missing_ok=True)
        for name, command, variables in self.commands(services):
            code, lines = follow(command, folder=project.ROOT, environment=variables, log=log, progress=progress)
            if code != 0:
                raise RehearsalError(f"{name} failed: {failure(lines)} (full log: {log})")

    @property
    def account(self) -> str:
        """The account it is in."""
        return self.environment.account

    def down(self, session: boto3.Session, progress: Progress) -> bool:
        """Delete its stacks with their contents immediately.

        Args:
            session: The caller's credentials.
            progress: Called with each step.

        Returns:
            False if it did not exist.

        Raises:
            DestructionError: Something is left. The message names it.
        """
        destruction = Destruction(self.environment, session, say=progress)
        waves = destruction.plan()
        destruction.run(waves)
        return bool(waves)


def deployed(session: boto3.Session, base: Environment) -> Iterator[DeployedStacks]:
    """Yield the sandboxes in the account and region of a development environment, by name.

    Args:
        session: The caller's credentials.
        base: The environment.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    formation: Any = session.client("cloudformation", region_name=base.region)
    for page in formation.get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", ())}
            if "Expires" in tags:
                environment = tags.get("Environment", stack["StackName"])
                found.setdefault(environment, (tags["Expires"], []))[1].append(stack["StackName"])
    for environment, (expires, stacks) in sorted(found.items()):
        yield DeployedStacks(environment, expires, tuple(sorted(stacks)))
