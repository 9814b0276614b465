"""Roll a delivery back: `slipway rollback`.

slipway rollback --env prod                          # every stage, to the last good execution
slipway rollback --env prod --alias --service NAME   # only the aliases of its functions, immediately
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import boto3
import typer
from rich.console import Console

from slipway import settings as config
from slipway.delivery.names import (
    COMPUTE,
    PROTECTED_STACKS,
    approval_stage,
    foundation_stage,
    pipeline_name,
    service_stack,
)
from slipway.emulator.sessions import environment_named, services_named
from slipway.rollback.aliases import AliasMove, move, plan_moves
from slipway.rollback.errors import RollbackError
from slipway.rollback.operator_policy import alias_policy, stage_policy
from slipway.rollback.stages import POLL_SECONDS, RollbackPlan, plan_rollback, roll_back
from slipway.settings import Environment, Settings

KEPT = (
    "data that the new version wrote is kept: the old version must be able to read it",
    "changed contents of tables and buckets, migrations and sent messages are kept",
    "rotated secrets stay rotated, and keys scheduled for deletion stay scheduled",
    "resources that the change added to a {stacks} stack are kept, and the stack policy refuses the rollback",
)
"""Limits of a rollback of stages."""

ALIAS_KEPT = (
    "only the functions' code and configuration are rolled back",
    "data that the new version wrote is kept: the old version must be able to read it",
    "until the next deployment the alias differs from the stack's version, which drift detection reports",
)
"""Limits of moving an alias."""


@dataclass(frozen=True)
class Sessions:
    """The caller's sessions, and the polling interval.

    Attributes:
        tools: Session of the tools account.
        environment: Session of the environment's account.
        poll_seconds: Pause between two polls.
    """

    tools: boto3.Session
    environment: boto3.Session
    poll_seconds: float = POLL_SECONDS


def rollback(  # noqa: PLR0917  # typer reads a command's options from its parameters
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    to: Annotated[
        str | None,
        typer.Option(
            "--to", help="Id of the execution to return to. Default: the last good one before the current one."
        ),
    ] = None,
    alias: Annotated[
        bool, typer.Option("--alias", help="Only point `live` of a service's functions to the previous version.")
    ] = False,
    service: Annotated[str | None, typer.Option(help="Service whose aliases are moved; requires --alias.")] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Point `live` to the last deployed version; requires --alias.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    policy: Annotated[bool, typer.Option("--policy", help="Print the required IAM policy, and exit.")] = False,
    rehearsal: Annotated[
        str | None,
        typer.Option(help="Use the accounts of `slipway rehearse`: `all`, or its services, separated by commas."),
    ] = None,
) -> None:
    """Roll a delivery back: an environment to its last good execution, or only a service's functions."""
    settings = config.load()
    environment = environment_named(settings, env)
    _check_options(environment, to=to, alias=alias, service=service, undo=undo)
    console = Console(soft_wrap=True, highlight=False)
    if policy:
        wanted = alias_policy(environment, service) if alias and service else stage_policy(settings, environment)
        account = environment.account if alias else settings.pipeline.account
        console.print(json.dumps(wanted, indent=2), markup=False)
        Console(stderr=True).print(f"in account {account}", markup=False)
        return
    with _place(settings, environment, rehearsal, alias=alias) as place:
        if alias and service:
            _take_aliases(environment, service, place, console, undo=undo, yes=yes)
        else:
            _take_stages(settings, environment, place, console, to=to, yes=yes)


def _check_options(environment: Environment, *, to: str | None, alias: bool, service: str | None, undo: bool) -> None:
    if alias and service is None:
        raise RollbackError("--alias moves the aliases of one service: name it with --service", exit_code=2)
    if alias and to is not None:
        raise RollbackError("--to names an execution of the pipeline, which --alias doesn't use", exit_code=2)
    if not alias and (service is not None or undo):
        raise RollbackError(
            "--service and --undo require --alias, because a stage contains every service of a wave", exit_code=2
        )
    services_named(environment, [service] if service else ())


@contextmanager
def _place(settings: Settings, environment: Environment, rehearsal: str | None, *, alias: bool) -> Iterator[Sessions]:
    if rehearsal is not None:
        from slipway.rehearsal.back import accounts_left  # noqa: PLC0415  # not installed with the base package

        services = () if rehearsal == "all" else tuple(each.strip() for each in rehearsal.split(","))
        with accounts_left(settings, environment, services) as (tools, own):
            yield Sessions(tools, own, poll_seconds=0.2)
        return
    place = environment if alias else settings.pipeline
    session = boto3.Session(region_name=place.region)
    account = session.client("sts").get_caller_identity()["Account"]
    if account != place.account:
        what = environment.name if alias else "the pipeline"
        raise RollbackError(f"these credentials belong to account {account}, but {what} is in {place.account}")
    yield Sessions(session, session)


def _take_stages(
    settings: Settings, environment: Environment, place: Sessions, console: Console, *, to: str | None, yes: bool
) -> None:
    client = place.tools.client("codepipeline")
    names = [each.name for each in settings.environments]
    together = next(each for each in settings.turns if environment in each)
    leader, said = together[0].name, " and ".join(each.name for each in together)
    plan = plan_rollback(client, pipeline_name(settings.pipeline.app), leader, names, to=to)
    if not plan.stages:
        console.print(f"{said} already has {plan.target}", markup=False)
        return
    for line in describe_plan(plan, together):
        console.print(line, markup=False)
    _confirm(f"Roll {said} back to {plan.target.commit[:12] or plan.target.id}?", yes=yes)
    roll_back(client, plan, say=lambda text: console.print(text, markup=False), poll_seconds=place.poll_seconds)
    console.print(f"{said}: back at {plan.target}", markup=False)


def describe_plan(plan: RollbackPlan, together: Sequence[Environment]) -> list[str]:
    """Return the text before the confirmation: what is rolled back, what is not, and what else to do.

    Args:
        plan: The planned rollback.
        together: The environment, and those that share its stages.
    """
    environment = together[0]
    stacks = " or ".join(PROTECTED_STACKS)
    hold = f"aws codepipeline disable-stage-transition --pipeline-name {plan.pipeline} --stage-name <stage>"
    first = f"{approval_stage(environment.name)} or, without one, {foundation_stage(environment.name)}"
    return [
        f"back to     {plan.target}",
        *(f"takes back  {each}" for each in plan.taken_back),
        f"stages      {', '.join(plan.stages)}, in this order; each is deployed, verified and baked again",
        *(
            [f"together    {', '.join(each.name for each in together)} share these stages, and all of them go back"]
            if len(together) > 1
            else []
        ),
        *([f"holds it    {', '.join(plan.skipped)}"] if plan.skipped else []),
        "cannot take back:",
        *(f"  - {each.format(stacks=stacks)}" for each in KEPT),
        f"the next execution delivers the change again. Disable its transition first (stage: {first}):",
        f"  {hold} --transition-type Inbound --reason <incident>",
    ]


def _take_aliases(
    environment: Environment, service: str, place: Sessions, console: Console, *, undo: bool, yes: bool
) -> None:
    moves = plan_moves(place.environment, service_stack(environment.name, service, COMPUTE), undo=undo)
    for line in describe_moves(moves, undo=undo):
        console.print(line, markup=False)
    wanted = [each for each in moves if each.wanted is not None]
    if not wanted:
        if undo:
            return
        raise RollbackError(f"no function of {service} can be moved back; roll the stages back without --alias")
    _confirm(f"Move {len(wanted)} aliases of {service} in {environment.name}?", yes=yes)
    move(place.environment, wanted)
    console.print(f"{', '.join(each.function for each in wanted)}: moved", markup=False)
    if not undo:
        console.print(
            f"undo: slipway rollback --env {environment.name} --alias --service {service} --undo, before the next "
            "deployment or a rollback of the stage",
            markup=False,
        )


def describe_moves(moves: Sequence[AliasMove], *, undo: bool) -> list[str]:
    """Return the text before the confirmation of moved aliases."""
    lines = [
        f"{each.function}: version {each.present} "
        + (f"→ {each.wanted}" if each.wanted is not None else f"stays: {each.reason}")
        for each in moves
    ]
    return lines if undo else [*lines, "cannot take back:", *(f"  - {each}" for each in ALIAS_KEPT)]


def _confirm(question: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise RollbackError("cannot ask for confirmation without a terminal; pass --yes", exit_code=2)
    typer.confirm(question, abort=True)
