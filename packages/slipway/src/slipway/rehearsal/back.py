"""Roll a delivery back in the accounts of a rehearsal with `slipway.rollback`, as an operator does on AWS."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import boto3
from rich.console import Console

from slipway.delivery.names import COMPUTE, pipeline_name, service_stack
from slipway.errors import RehearsalError
from slipway.rehearsal.faults import ALIASES_MOVED, DELIVERED, STAGES_ROLLED_BACK, Fault
from slipway.rehearsal.player.records import PlayStatus, Rehearsal
from slipway.rehearsal.rehearse import FOLDER, Options, Stand, served
from slipway.rehearsal.show import Show
from slipway.rollback.aliases import move, plan_moves
from slipway.rollback.operator_policy import alias_policy, stage_policy
from slipway.rollback.stages import plan_rollback, roll_back
from slipway.settings import Environment, Settings

OPERATOR = "operator"
"""Role of the operator, with the policy that `slipway rollback --policy` prints."""
_POLL_SECONDS = 0.2


@contextmanager
def accounts_left(
    settings: Settings, environment: Environment, services: Sequence[str]
) -> Iterator[tuple[boto3.Session, boto3.Session]]:
    """Run the accounts that a rehearsal left, with the player of the pipeline.

    Args:
        settings: All of `config/`.
        environment: The environment to roll back.
        services: The services of the rehearsal. Empty: all.

    Yields:
        Sessions of the tools account and of the environment's.

    Raises:
        RehearsalError: No rehearsal left accounts, or one is running in them.
    """
    options = Options(services=tuple(services), folder=FOLDER / "rollback")
    show = Show(Console(file=sys.stderr, highlight=False, width=None if sys.stderr.isatty() else 160))
    stand = Stand(settings, options, show, lambda _: None, threading.Event())
    if not stand.accounts.are_kept or not stand.memory.has_pipeline:
        raise RehearsalError(f"no rehearsal left accounts in {stand.home}: run `slipway rehearse` first", exit_code=2)
    with stand.accounts.held():
        if lost := stand.accounts.lost:
            names = ", ".join(stand.accounts.label(account) for account in lost)
            raise RehearsalError(f"lost with their processes: {names}; run `slipway rehearse`, which starts new ones")
        try:
            with show.phase("accounts"):
                stand.start()
            player = stand.new_player()
            yield stand.accounts.session(stand.accounts.tools), stand.accounts.session(environment.account)
            player.join_rollback()
        finally:
            show.close()
            stand.stop()


def take_back(stand: Stand, record: Rehearsal, fault: Fault | None) -> None:
    """Roll an environment back after a delivery with a late fault: first aliases, then every stage.

    Args:
        stand: The running accounts, with the player.
        record: Receives the version that answers after each step.
        fault: The fault. Nothing is done unless it is found after a delivery.

    Raises:
        SlipwayError: The rollback failed.
    """
    if fault is None or not fault.found_by or record.executions[-1].status is not PlayStatus.SUCCEEDED:
        return
    environment, service, headers = fault.watched, fault.service, fault.found_by
    place, accounts = stand.settings.environment(environment), stand.accounts

    def look(step: str) -> None:
        record.taken_back[step] = served(accounts, place.account, environment, headers, region=place.region)
        accounts.emulators[place.account].recycle()
        stand.show.say(f"  {step}: {record.taken_back[step]}")

    look(DELIVERED)
    own = _operator(stand, place.account, _as_the_emulator_asks(alias_policy(place, service)))
    moves = plan_moves(own, service_stack(environment, service, COMPUTE))
    _check_aliases(stand, place, [each.function for each in moves])
    move(own, moves)
    look(ALIASES_MOVED)
    client: Any = _operator(stand, accounts.tools, stage_policy(stand.settings, place)).client("codepipeline")
    names = [each.name for each in stand.settings.environments]
    leader = stand.settings.leader(environment)
    plan = plan_rollback(client, pipeline_name(stand.settings.pipeline.app), leader, names)
    roll_back(client, plan, say=stand.show.say, poll_seconds=_POLL_SECONDS)
    if stand.player is not None:
        stand.player.join_rollback()
    look(STAGES_ROLLED_BACK)


_ALIAS_ACTIONS = ("lambda:GetAlias", "lambda:UpdateAlias")


def _as_the_emulator_asks(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a policy that also allows the action that the emulator checks in place of `_ALIAS_ACTIONS`."""
    statements = [
        {**each, "Action": [*each["Action"], "lambda:ListAliases"]} if _ALIAS_ACTIONS[0] in each["Action"] else each
        for each in policy["Statement"]
    ]
    return {**policy, "Statement": statements}


def _check_aliases(stand: Stand, place: Environment, functions: Sequence[str]) -> None:
    """Authorise the operator's actions that the emulator does not check.

    Raises:
        RehearsalError: The operator's policy doesn't allow it.
    """
    role = f"arn:aws:iam::{place.account}:role/{OPERATOR}"
    for function in functions:
        arn = f"arn:aws:lambda:{place.region}:{place.account}:function:{function}"
        for action in _ALIAS_ACTIONS:
            if not stand.accounts.partition.allowed(place.account, role, action, arn):
                raise RehearsalError(f"{role} may not perform {action} on {arn}; add it to the operator's policy")


def _operator(stand: Stand, account: str, policy: Mapping[str, Any]) -> boto3.Session:
    """Return a session of a person with exactly the permissions of a policy."""
    iam: Any = stand.accounts.emulators[account].session().client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
        ],
    }
    with suppress(iam.exceptions.EntityAlreadyExistsException):
        # It may exist from an earlier drill in the same accounts.
        iam.create_role(RoleName=OPERATOR, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=OPERATOR, PolicyName=OPERATOR, PolicyDocument=json.dumps(policy))
    credentials = stand.accounts.partition.assume(f"arn:aws:iam::{account}:role/{OPERATOR}", OPERATOR)
    return stand.accounts.session(account, credentials)
