"""Check the permissions of an execution role that the emulator ignores: passed roles, and scaling.

CloudFormation creates resources as its execution role. The emulator creates them itself, and does not support scaling.
So these calls are checked against the role's own policies before a change set is executed:

- `iam:PassRole` for each role that a property names
  (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html);
- `cloudwatch:PutMetricAlarm` and `DeleteAlarms` without a name, which Application Auto Scaling calls to check its
caller's permission
(https://docs.aws.amazon.com/autoscaling/application/userguide/security_iam_permission_validation.html).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from slipway.emulator.server import Emulator

_SCALABLE_TARGET = "AWS::ApplicationAutoScaling::ScalableTarget"
_NAMELESS = ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms")
_ROLES = frozenset({"CloudWatchRoleArn", "IamRoleArn", "Role", "RoleARN", "RoleArn", "ServiceRole", "ServiceRoleArn"})
"""Names of the properties that take the ARN of a role."""
_WITHIN = ("BackupSelection", "Targets")
"""Properties whose own properties, or whose items', name a role."""
_PASSED_TO = {
    "AWS::ApiGateway::": "apigateway.amazonaws.com",
    "AWS::ApplicationAutoScaling::": "application-autoscaling.amazonaws.com",
    "AWS::Backup::": "backup.amazonaws.com",
    "AWS::CodeBuild::": "codebuild.amazonaws.com",
    "AWS::CodeDeploy::": "codedeploy.amazonaws.com",
    "AWS::CodePipeline::": "codepipeline.amazonaws.com",
    "AWS::Events::": "events.amazonaws.com",
    "AWS::FIS::": "fis.amazonaws.com",
    "AWS::Lambda::": "lambda.amazonaws.com",
    "AWS::Logs::": "logs.amazonaws.com",
    "AWS::Scheduler::": "scheduler.amazonaws.com",
    "AWS::StepFunctions::": "states.amazonaws.com",
}
"""Prefix of a type → the service that the role is passed to."""
_RANDOM = "1A2B3C4D5E6F"
"""Random suffix of names that CloudFormation generates."""
_LONGEST_ROLE = 64


class ExecutionRole:
    """An execution role in its account's IAM.

    Args:
        emulator: Emulator of the account.
        role_arn: The role.
    """

    def __init__(self, emulator: Emulator, role_arn: str) -> None:
        self._emulator, self._arn = emulator, role_arn
        self._iam: Any = emulator.session().client("iam")
        name = role_arn.rpartition("/")[2]
        self._policies = [parse_policy_document(each) for each in self._documents(name)]
        boundary = (
            self._iam.get_role(RoleName=name)["Role"].get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        )
        self._limits = [parse_policy_document(self._managed(boundary))] if boundary else []

    def refused(self, template: Mapping[str, Any], stack: str) -> Iterator[str]:
        """Yield the actions that the template requires of the role, but that it may not perform.

        Args:
            template: The original template.
            stack: Name of the stack.
        """
        for logical_id, resource in template.get("Resources", {}).items():
            kind, properties = resource["Type"], resource.get("Properties", {})
            where = f"{logical_id} ({kind})"
            if kind == _SCALABLE_TARGET:
                yield from (self._said(where, action, "*") for action in _NAMELESS if not self._may(action, "*", {}))
            for value in _passed(properties):
                arn = _arn(value, template, stack, self._emulator)
                service = next((name for prefix, name in _PASSED_TO.items() if kind.startswith(prefix)), None)
                if arn is None or service is None:
                    yield f"{where}: cannot determine which role is passed to which service: {json.dumps(value)}"
                elif not self._may("iam:PassRole", arn, {"iam:passedtoservice": service}):
                    yield self._said(where, "iam:PassRole", arn)

    def _said(self, where: str, action: str, resource: str) -> str:
        return (
            f"{where}: User: {self._arn} is not authorized to perform: {action} on resource: {resource} because no "
            "identity-based policy allows it"
        )

    def _may(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        asked = EvalContext(
            principal_arn=self._arn,
            principal_type="AssumedRole",
            principal_account=self._emulator.account,
            action=action,
            resource_arn=resource,
            region=self._emulator.region,
            service_context={"aws:calledvia": "cloudformation.amazonaws.com", **context},
        )
        return all(
            evaluate(asked, policies).decision == "Allow"
            for policies in (self._policies, *([each] for each in self._limits))
        )

    def _documents(self, name: str) -> Iterator[Any]:
        for policy in self._iam.list_role_policies(RoleName=name)["PolicyNames"]:
            yield _document(self._iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
        for page in self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=name):
            for policy in page["AttachedPolicies"]:
                yield self._managed(policy["PolicyArn"])

    def _managed(self, arn: str) -> Any:
        version = self._iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return _document(self._iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _document(content: Any) -> Any:
    """Return a policy document, which boto3 decodes and other clients return as sent."""
    return json.loads(unquote(content)) if isinstance(content, str) else content


def _passed(properties: Mapping[str, Any]) -> Iterator[Any]:
    yield from (value for name, value in properties.items() if name in _ROLES)
    for name in _WITHIN:
        found = properties.get(name, [])
        for item in found if isinstance(found, list) else [found]:
            yield from (value for key, value in item.items() if key in _ROLES)


def _arn(value: Any, template: Mapping[str, Any], stack: str, emulator: Emulator) -> str | None:
    """Return the ARN that a property names; None if it is unknown before the stack exists."""
    known = {
        "AWS::AccountId": emulator.account,
        "AWS::Partition": "aws",
        "AWS::Region": emulator.region,
        "AWS::StackName": stack,
        "AWS::URLSuffix": "amazonaws.com",
    }
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return known.get(name)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            role = template["Resources"].get(name, {})
            return _made(role, name, stack, emulator) if role.get("Type") == "AWS::IAM::Role" else None
        case {"Fn::Join": [str(between), list(parts)]}:
            texts: Sequence[str | None] = [_arn(part, template, stack, emulator) for part in parts]
            return None if None in texts else between.join(map(str, texts))
        case {"Fn::GetStackOutput": {"StackName": str(other), "OutputName": str(output)}}:
            return _output(emulator, other, output)
        case _:
            return None


def _made(role: Mapping[str, Any], logical_id: str, stack: str, emulator: Emulator) -> str:
    name = role.get("Properties", {}).get("RoleName")
    if not isinstance(name, str):
        name = f"{f'{stack}-{logical_id}'[: _LONGEST_ROLE - len(_RANDOM) - 1]}-{_RANDOM}"
    return f"arn:aws:iam::{emulator.account}:role/{name}"


def _output(emulator: Emulator, stack: str, output: str) -> str | None:
    described = emulator.session().client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return next((each["OutputValue"] for each in described.get("Outputs", []) if each["OutputKey"] == output), None)
