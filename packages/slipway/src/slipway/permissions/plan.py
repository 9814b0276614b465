"""The functions of a service and their roles' permissions, as synthesised and as deployed on the emulator."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from slipway.assembly.flat import stack_template
from slipway.assembly.reader import read_manifest

UNPROVEN_HERE = "slipway:unproven-here"
"""Metadata that `ServiceFunction.allow` leaves on a policy, in `slipway.blocks.function`."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """One action on one resource."""

    policy: str
    """Logical id of the managed policy."""
    statement: int
    """Index of the statement."""
    action: str
    resource: int
    """Index of the statement's resource."""
    unproven: str | None = None
    """Why no test can fail without it."""


@dataclass(frozen=True)
class PlannedFunction:
    """A function with a role of its own."""

    name: str
    """`<service>/<path of its construct in the stack>`."""
    stack: str
    """Name of its stack."""
    logical_id: str
    grants: tuple[Grant, ...]


def functions(stage: Path) -> tuple[PlannedFunction, ...]:
    """Return the functions of a stage, by name.

    Args:
        stage: The nested assembly that `cdk synth` wrote for it, `…/assembly-Pipeline-dev-<service>`.
    """
    service = stage.name.rsplit("-", 1)[-1]
    found = [
        PlannedFunction(
            name="/".join((service, *_path(metadata, template, logical_id)[3:-2])),
            stack=entry.name,
            logical_id=logical_id,
            grants=tuple(_grants(template, metadata, resource["Properties"]["Role"]["Fn::GetAtt"][0])),
        )
        for entry in read_manifest(stage).stacks()
        for template in (stack_template(entry),)
        for metadata in (entry.metadata,)
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Function"
    ]
    return tuple(sorted(found, key=lambda function: function.name))


def _path(metadata: Document, template: Document, logical_id: str) -> list[str]:
    """Return a resource's path in the construct tree: pipeline, stage, stack, and so on."""
    # A nested stack's resource has different logical ids in the two templates.
    if named := template["Resources"][logical_id].get("Metadata", {}).get("aws:cdk:path"):
        return str(named).split("/")
    wanted = {"type": "aws:cdk:logicalId", "data": logical_id}
    for path, entries in metadata.items():
        if any({"type": entry["type"], "data": entry.get("data")} == wanted for entry in entries):
            return str(path).removeprefix("/").split("/")
    raise ValueError(f"the assembly names no construct of {logical_id}")


def _grants(template: Document, metadata: Document, role: str) -> Iterator[Grant]:
    for policy, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] != "AWS::IAM::ManagedPolicy" or {"Ref": role} not in properties.get("Roles", []):
            continue
        construct = "/" + "/".join(_path(metadata, template, policy)[:-1])
        reasons = [entry["data"] for entry in metadata.get(construct, ()) if entry["type"] == UNPROVEN_HERE]
        for number, statement in enumerate(properties["PolicyDocument"]["Statement"]):
            for action in listed(statement["Action"]):
                for index, target in enumerate(listed(statement["Resource"])):
                    yield Grant(policy, number, action, index, _reason(reasons, action, target))


def _reason(reasons: Iterable[Document], action: str, resource: object) -> str | None:
    """Return why the action on the resource cannot be tested; None without a reason."""
    return next(
        (entry["reason"] for entry in reasons if action in entry["actions"] and resource in entry["resources"]), None
    )


def listed(value: Any) -> list[Any]:
    """Return an element of a policy as a list: IAM also accepts a single value."""
    return value if isinstance(value, list) else [value]


def without(document: Document, grants: Iterable[Grant]) -> Document:
    """Return a policy document without some of its grants.

    Args:
        document: The deployed document; its statements are those of the template.
        grants: The grants to remove.

    Returns:
        A new document. If an action is removed for some of a statement's resources, the statement is split.
    """
    gone = {(grant.statement, grant.action, grant.resource) for grant in grants}
    statements = []
    for number, statement in enumerate(document["Statement"]):
        kept: dict[tuple[int, ...], list[str]] = {}
        resources = listed(statement["Resource"])
        for action in listed(statement["Action"]):
            left = tuple(index for index in range(len(resources)) if (number, action, index) not in gone)
            if left:
                kept.setdefault(left, []).append(action)
        for left, actions in kept.items():
            narrowed = {**deepcopy(statement), "Action": actions, "Resource": [resources[index] for index in left]}
            statements.append(narrowed)
    # IAM accepts no policy without a statement.
    nothing = {"Effect": "Deny", "Action": "none:None", "Resource": "*"}
    return {**document, "Statement": statements or [nothing]}


class Roles:
    """The roles of a stack's functions, where they are deployed.

    Args:
        session: Session that may change them.
        function: The function.
    """

    def __init__(self, session: boto3.Session, function: PlannedFunction) -> None:
        self._iam = session.client("iam")
        self._function = function
        physical = {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for resource in session.client("cloudformation").describe_stack_resources(StackName=function.stack)[
                "StackResources"
            ]
        }
        self.function_name: str = physical[function.logical_id]
        self._arns = {grant.policy: physical[grant.policy] for grant in function.grants}
        self._versions = {arn: self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] for arn in self.arns}
        self._documents = {arn: self._document(arn) for arn in self.arns}
        self._changed: set[str] = set()

    @property
    def arns(self) -> set[str]:
        """The managed policies."""
        return set(self._arns.values())

    def resource(self, grant: Grant) -> str:
        """Return the ARN of a grant's resource."""
        statement = self._documents[self._arns[grant.policy]]["Statement"][grant.statement]
        return str(listed(statement["Resource"])[grant.resource])

    def take_away(self, grants: Iterable[Grant]) -> None:
        """Remove some grants from the role, until `give_back`."""
        by_policy: dict[str, list[Grant]] = {}
        for grant in grants:
            by_policy.setdefault(self._arns[grant.policy], []).append(grant)
        for arn, gone in by_policy.items():
            self._put(arn, without(self._documents[arn], gone))
            self._changed.add(arn)

    def give_back(self) -> None:
        """Restore the role's deployed permissions."""
        while self._changed:
            arn = self._changed.pop()
            self._put(arn, self._documents[arn])

    def _put(self, arn: str, document: Document) -> None:
        before = self._versions[arn]
        # The emulator cannot switch back to an existing version. IAM keeps five, so the previous one is deleted.
        self._versions[arn] = self._iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=json.dumps(document), SetAsDefault=True
        )["PolicyVersion"]["VersionId"]
        self._iam.delete_policy_version(PolicyArn=arn, VersionId=before)

    def _document(self, arn: str) -> Document:
        version = self._iam.get_policy_version(PolicyArn=arn, VersionId=self._versions[arn])["PolicyVersion"]
        # boto3 has decoded it, although its types allow a string.
        document: Any = version["Document"]
        return document if isinstance(document, dict) else json.loads(document)
