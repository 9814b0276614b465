"""Point the aliases of a service's functions back to the previous version within seconds.

CodeDeploy knows the previous version: the newest successful deployment of the current version names it in its AppSpec
file (https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html).
Subtracting one from the version's number could lead to a version that failed its canary, because those are retained
too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from slipway.rollback.errors import RollbackError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_lambda import LambdaClient

ALIAS = "live"
_OF_A_CALL = 25
"""Maximum number of deployments per call of BatchGetDeployments:
https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeployments.html."""


@dataclass(frozen=True)
class AliasMove:
    """A move of a function's alias.

    Attributes:
        present: Current version of the alias.
        wanted: New version of the alias; None if it is not moved.
        reason: Why it is not moved.
        revision: Revision of the alias, so that concurrent changes are not overwritten.
    """

    function: str
    present: str
    wanted: str | None
    reason: str = ""
    revision: str = ""


@dataclass(frozen=True)
class _Shift:
    """A deployment that succeeded."""

    function: str
    old: str
    new: str
    ended: float


def plan_moves(session: boto3.Session, stack: str, *, undo: bool = False) -> list[AliasMove]:
    """Find the version to which each function's alias is moved.

    Args:
        session: Session in the environment's account and region.
        stack: Name of the service's compute stack.
        undo: True to move each alias forward to the last deployed version.

    Raises:
        RollbackError: The stack does not exist, or has no function with the alias.
    """
    client, shifts = session.client("lambda"), list(_shifts(session.client("codedeploy")))
    functions = sorted(_functions(session, stack))
    if not functions:
        raise RollbackError(f"{stack} has no function with the alias {ALIAS}", exit_code=2)
    return [_move(client, function, shifts, undo=undo) for function in functions]


def move(session: boto3.Session, moves: Sequence[AliasMove]) -> None:
    """Move aliases.

    Args:
        session: Session in the environment's account and region.
        moves: The moves; aliases without a new version are skipped.
    """
    client = session.client("lambda")
    for each in moves:
        if each.wanted is not None:
            client.update_alias(
                FunctionName=each.function,
                Name=ALIAS,
                FunctionVersion=each.wanted,
                RoutingConfig={"AdditionalVersionWeights": {}},
                **({"RevisionId": each.revision} if each.revision else {}),
            )


def _functions(session: boto3.Session, stack: str) -> Iterator[str]:
    """Yield the functions of a stack, and of those nested in it, that have the alias."""
    client = session.client("cloudformation")
    try:
        pages = list(client.get_paginator("list_stack_resources").paginate(StackName=stack))
    except ClientError as error:
        raise RollbackError(f"{stack}: {error}") from error
    for resource in (each for page in pages for each in page["StackResourceSummaries"]):
        identifier = resource.get("PhysicalResourceId", "")
        if resource["ResourceType"] == "AWS::CloudFormation::Stack":
            yield from _functions(session, identifier)
        elif resource["ResourceType"] == "AWS::Lambda::Alias":
            # Its ARN: …:function:<name>:<alias>.
            function, _, alias = identifier.rpartition(":")
            if alias == ALIAS:
                yield function.rpartition(":")[2]


def _move(client: LambdaClient, function: str, shifts: Sequence[_Shift], *, undo: bool) -> AliasMove:
    alias = client.get_alias(FunctionName=function, Name=ALIAS)
    present, revision = alias["FunctionVersion"], alias.get("RevisionId", "")
    if alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
        stop = "aws deploy stop-deployment --auto-rollback-enabled"
        return AliasMove(
            function, present, None, f"a running deployment is moving it: stop the deployment with `{stop}`"
        )
    theirs = sorted((each for each in shifts if each.function == function), key=lambda each: each.ended, reverse=True)
    if undo:
        if not theirs or theirs[0].new == present:
            return AliasMove(function, present, None, "it already has the last deployed version")
        return AliasMove(function, present, theirs[0].new, revision=revision)
    found = next((each.old for each in theirs if each.new == present and each.old != present), None)
    if found is None:
        return AliasMove(function, present, None, f"no successful deployment of version {present} found")
    try:
        client.get_function_configuration(FunctionName=function, Qualifier=found)
    except client.exceptions.ResourceNotFoundException:
        return AliasMove(function, present, None, f"the previous version, {found}, was deleted")
    return AliasMove(function, present, found, revision=revision)


def _shifts(client: CodeDeployClient) -> Iterator[_Shift]:
    """Yield the deployments of aliases that succeeded, in the account and region."""
    identifiers = [
        identifier
        for page in client.get_paginator("list_deployments").paginate(includeOnlyStatuses=["Succeeded"])
        for identifier in page["deployments"]
    ]
    for first in range(0, len(identifiers), _OF_A_CALL):
        found = client.batch_get_deployments(deploymentIds=identifiers[first : first + _OF_A_CALL])
        for deployment in found["deploymentsInfo"]:
            if "completeTime" not in deployment:
                continue
            ended = deployment["completeTime"].timestamp()
            for properties in _revised(deployment.get("revision", {})):
                if properties.get("Alias") == ALIAS:
                    name = str(properties["Name"]).rpartition(":")[2]
                    yield _Shift(name, str(properties["CurrentVersion"]), str(properties["TargetVersion"]), ended)


def _revised(revision: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the functions of an AppSpec file. CloudFormation writes JSON; files in other formats are skipped."""
    content = (revision.get("appSpecContent") or revision.get("string") or {}).get("content", "")
    try:
        resources = json.loads(content)["Resources"]
    except (ValueError, KeyError, TypeError):
        return
    for resource in resources:
        yield from (each["Properties"] for each in resource.values() if each.get("Type") == "AWS::Lambda::Function")
