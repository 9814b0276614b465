"""Set what CDK Pipelines cannot: termination protection and stack policies of the stateful stacks.

    slipway protect --env prod
    slipway open --env prod --stack prod-<service>-data --reason "..."

`protect` is a step of the pipeline after each environment, under a role that may do nothing else. `open` is for a
change that intends to replace a protected resource: a person runs it with their own credentials (`docs/protection.md`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer
from botocore.config import Config
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.delivery.names import PROTECTED_STACKS, protection_role
from slipway.errors import SlipwayError
from slipway.settings import Environment
from slipway.settings.protection import PROTECTED_TYPES
from slipway.tasks.session import assumed

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}

STACK_POLICY: dict[str, Any] = {
    "Statement": [
        _ALLOW,
        {
            "Effect": "Deny",
            "Action": ["Update:Delete", "Update:Replace"],
            "Principal": "*",
            "Resource": "*",
            "Condition": {"StringEquals": {"ResourceType": list(PROTECTED_TYPES)}},
        },
    ]
}
"""Stack policy: everything may be updated in place, but resources of protected types not deleted or replaced."""

OPEN_POLICY: dict[str, Any] = {"Statement": [_ALLOW]}
"""Stack policy while a stack is open, until the pipeline sets `STACK_POLICY` again at its next run."""


class ProtectionError(SlipwayError):
    """Something is not protected as it should be. The message is one line."""


@dataclass(frozen=True)
class Protection:
    """Protection that was read back from one stack."""

    stack: str
    termination_protection: bool
    policy: dict[str, Any] | None


def protected_stacks(environment: str, services: list[str]) -> list[str]:
    """Return the names of an environment's stateful stacks, in a fixed order."""
    return [f"{environment}-{service}-{name}" for service in services for name in PROTECTED_STACKS]


def protect(client: CloudFormationClient, stacks: list[str], *, termination_protection: bool) -> list[Protection]:
    """Protect stacks, and read back what is set.

    Args:
        client: CloudFormation in the environment's account.
        stacks: Names of the stacks.
        termination_protection: True to enable termination protection.

    Returns:
        The protection of each stack, as read back from CloudFormation.

    Raises:
        ProtectionError: A setting read back differs from the one that was set.
    """
    found = []
    for stack in stacks:
        client.update_termination_protection(StackName=stack, EnableTerminationProtection=termination_protection)
        client.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps(STACK_POLICY))
        read = read_back(client, stack)
        if read.policy != STACK_POLICY or read.termination_protection is not termination_protection:
            raise ProtectionError(
                f"{stack}: reads back as {read}, which differs from the settings; run `slipway protect` again"
            )
        found.append(read)
    return found


def read_back(client: CloudFormationClient, stack: str) -> Protection:
    """Return a stack's current protection."""
    described = client.describe_stacks(StackName=stack)["Stacks"][0]
    body = client.get_stack_policy(StackName=stack).get("StackPolicyBody")
    return Protection(
        stack=stack,
        termination_protection=described.get("EnableTerminationProtection", False),
        policy=json.loads(body) if body else None,
    )


def open_stack(client: CloudFormationClient, stack: str) -> None:
    """Let the next update of a stack replace or delete protected resources."""
    client.set_stack_policy(StackName=stack, StackPolicyBody=json.dumps(OPEN_POLICY))


def protect_environment(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str], typer.Option(help="Deployed service; may be repeated.")],
) -> None:
    """Protect the stateful stacks of an environment and read back what is set."""
    console = Console()
    environment = _environment(env)
    client = assumed(environment, protection_role(environment), session_name="protect").client("cloudformation")
    table = Table(title=f"Protection in {env}", title_justify="left")
    for column in ("stack", "termination protection", "stack policy"):
        table.add_column(column)
    for read in protect(
        client,
        protected_stacks(env, service),
        termination_protection=environment.stateful.termination_protection,
    ):
        table.add_row(read.stack, "on" if read.termination_protection else "off", "denies delete and replace")
    console.print(table)


def open_command(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    stack: Annotated[str, typer.Option(help="Stack whose next update may replace or delete resources.")],
    reason: Annotated[str, typer.Option(help="The reason. CloudTrail records it with the change.")],
) -> None:
    """Open one stateful stack for its next update; the pipeline closes it again."""
    environment = _environment(env)
    words = reason_words(reason)
    if not stack.startswith(f"{env}-") or stack.rpartition("-")[2] not in PROTECTED_STACKS:
        raise ProtectionError(f"--stack {stack}: must be {env}-<service>-{' or -'.join(PROTECTED_STACKS)}")
    session = boto3.Session(region_name=environment.region)
    account = session.client("sts").get_caller_identity()["Account"]
    if account != environment.account:
        raise ProtectionError(f"these credentials belong to {account}, but {env} is {environment.account}")
    # CloudTrail keeps the user agent of every call, beside who made it.
    agent = Config(user_agent_extra=f"slipway-protection-open/{words}")
    open_stack(session.client("cloudformation", config=agent), stack)
    Console().print(f"{stack} is open until the pipeline's next run sets its policy again")


def reason_words(reason: str) -> str:
    """Return a reason in the characters that a user agent may contain.

    Raises:
        ProtectionError: It contains no such characters.
    """
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", reason).strip("-")[:200]
    if len(words) < 8:
        raise ProtectionError("--reason: say in a few words why; CloudTrail keeps it")
    return words


def _environment(name: str) -> Environment:
    settings = config.load()
    try:
        return settings.environment(name)
    except KeyError:
        known = ", ".join(environment.name for environment in settings.environments)
        raise ProtectionError(f"unknown environment {name!r}; choose from {known}") from None
