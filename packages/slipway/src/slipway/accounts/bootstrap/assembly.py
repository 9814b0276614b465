"""Read what the stacks of an assembly create in an account: resources by their future names, and roles they pass."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.accounts.bootstrap.plan import Account, BootstrapPlace
from slipway.assembly.flat import stack_template
from slipway.assembly.nested import nested_stacks
from slipway.assembly.reader import read_stacks

RANDOM = "1A2B3C4D5E6F"
"""Random suffix of names that CloudFormation generates."""

UNREADABLE_ROLE = "unreadable-role"
"""Placeholder for the ARN of a role that the templates do not reveal: no policy allows passing it."""

_ROLE_PROPERTY = re.compile(r"(Role|RoleArn|RoleARN|CredentialsArn|CallerArn)$|^Credentials$")
"""Names of role properties in CloudFormation's registry, whose roles are passed to a service."""

_POLICIES = frozenset({"AssumeRolePolicyDocument", "KeyPolicy", "Policies", "PolicyDocument", "ResourcePolicy"})
"""Properties in which a role is a principal or a resource and isn't passed."""

_PASSED_BY_OTHERS = frozenset({("AWS::CodePipeline::Pipeline", "Configuration")})
"""Properties whose roles are passed later by another role: an action's configuration is used by the action's own role.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CloudFormation.html
"""


@dataclass(frozen=True)
class NamedResource:
    """A resource of a template, with its present or future name.

    Attributes:
        stack: Name of its stack.
        logical_id: Its id in the template.
        type_name: Such as `AWS::SQS::Queue`.
        properties: Its properties, as written in the template.
        physical_id: Its physical id if it already exists. Default: the id that it would get.
        region: Region of its stack. Default: the first region of its account.
        passed: ARNs of the roles that its properties pass to a service.
    """

    stack: str
    logical_id: str
    type_name: str
    properties: Mapping[str, Any] = field(repr=False, hash=False)
    physical_id: str | None = None
    region: str | None = None
    passed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, or the last part of its ARN or URL."""
        if self.physical_id is not None:
            return _name_in(self.physical_id, self.type_name)
        return next((text for text in self._literal_names()), self._made_up())

    def _literal_names(self) -> Iterator[str]:
        kind = self.type_name.rpartition("::")[2]
        for key in (f"{kind}Name", "AliasName", "BucketName", "TopicName", "DashboardName", "Name"):
            value = self.properties.get(key)
            if isinstance(value, str) and self.type_name not in {"AWS::Lambda::Alias", "AWS::ApiGateway::RestApi"}:
                yield value
        if isinstance(self.properties.get("LogGroupName"), dict):
            # The only log group whose name AWS dictates contains the id of its API.
            yield re.sub(r"\{.*?\}", "id", "".join(map(str, self.properties["LogGroupName"]["Fn::Join"][1])))

    def _made_up(self) -> str:
        if self.type_name in {
            *("AWS::SecretsManager::Secret", "AWS::Lambda::LayerVersion", "AWS::CodeBuild::Project"),
        }:
            return f"{self.logical_id}-{RANDOM}"
        name = f"{self.stack}-{self.logical_id}-{RANDOM}"
        return name.lower() if self.type_name == "AWS::S3::Bucket" else name


@dataclass(frozen=True)
class _Stack:
    name: str
    place: BootstrapPlace
    body: Mapping[str, Any]


def places(assembly: Path) -> set[BootstrapPlace]:
    """Return the accounts and regions that an assembly deploys to.

    Args:
        assembly: A folder that `cdk synth` wrote; nested assemblies count.
    """
    return {stack.place for stack in _stacks(assembly)}


def resources(assembly: Path, account: Account) -> list[NamedResource]:
    """Return every resource that the stacks of an assembly put into an account.

    Args:
        assembly: A folder that `cdk synth` wrote; nested assemblies count.
        account: The account.
    """
    stacks = {stack.name: stack for stack in _stacks(assembly)}
    return [
        NamedResource(
            stack.name,
            logical_id,
            resource["Type"],
            resource.get("Properties", {}),
            region=stack.place.region,
            passed=tuple(sorted(set(_passed(resource, stack, stacks, account)))),
        )
        for stack in stacks.values()
        if stack.place.account == account.account
        for logical_id, resource in stack.body["Resources"].items()
    ]


def resolve(value: Any, account: Account, region: str) -> str | None:
    """Return an intrinsic function as text, as far as it is known before the stack exists.

    Args:
        value: Text, or `Ref`, `Fn::Join` or `Fn::Sub` of pseudo parameters.
        account: Gives the values of `AWS::AccountId` and `AWS::Partition`.
        region: Value of `AWS::Region`.

    Returns:
        None if it is anything else.
    """
    known = {"AWS::Partition": account.partition, "AWS::AccountId": account.account, "AWS::Region": region}
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return known.get(name)
        case {"Fn::Join": [str(glue), list(parts)]}:
            texts = [resolve(part, account, region) for part in parts]
            return None if None in texts else glue.join(text for text in texts if text is not None)
        case {"Fn::Sub": str(text)}:
            names = set(re.findall(r"\$\{([^}!]+)\}", text))
            return None if names - set(known) else re.sub(r"\$\{([^}]+)\}", lambda match: known[match[1]], text)
    return None


def _stacks(assembly: Path) -> Iterator[_Stack]:
    for stack in read_stacks(assembly):
        body = stack_template(stack)
        # CloudFormation creates the nested stack and its contents.
        nested = {name: stack.template["Resources"][name] for name in nested_stacks(stack.template)}
        yield _Stack(stack.name, BootstrapPlace(*stack.place), {**body, "Resources": {**body["Resources"], **nested}})


def _passed(
    resource: Mapping[str, Any], stack: _Stack, stacks: Mapping[str, _Stack], account: Account
) -> Iterator[str]:
    """Yield the ARNs of the roles that a resource passes to a service.

    Roles of other accounts are omitted: PassRole applies to roles of the caller's own account
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html).
    """
    if resource["Type"].startswith(("AWS::IAM::", "Custom::", "AWS::CloudFormation::CustomResource")):
        return
    for value in _role_values(resource.get("Properties", {}), resource["Type"]):
        arn = _role_arn(value, stack, stacks, account) or UNREADABLE_ROLE
        if arn == UNREADABLE_ROLE or arn.split(":")[4] == account.account:
            yield arn


def _role_values(value: Any, type_name: str) -> Iterator[Any]:
    """Yield the values of every role property of the registry's types, at any depth."""
    if isinstance(value, list):
        for each in value:
            yield from _role_values(each, type_name)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in _POLICIES or (type_name, key) in _PASSED_BY_OTHERS:
                continue
            if _ROLE_PROPERTY.search(key) and (isinstance(inner, str) or _is_function(inner)):
                if inner != {"Ref": "AWS::NoValue"}:
                    yield inner
            else:
                yield from _role_values(inner, type_name)


def _is_function(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith(("Ref", "Fn::"))


def _role_arn(value: Any, stack: _Stack, stacks: Mapping[str, _Stack], account: Account) -> str | None:
    match value:
        case {"Fn::GetAtt": [str(logical_id), "Arn"]}:
            role = stack.body["Resources"].get(logical_id, {})
            if role.get("Type") != "AWS::IAM::Role":
                return None
            name = NamedResource(stack.name, logical_id, role["Type"], role.get("Properties", {})).name
            return f"arn:{account.partition}:iam::{stack.place.account}:role/{name}"
        case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(output)}} if owner in stacks:
            other = stacks[owner]
            return _role_arn(other.body.get("Outputs", {}).get(output, {}).get("Value"), other, stacks, account)
    text = resolve(value, account, stack.place.region)
    return text if text and text.startswith("arn:") and ":role/" in text else None


def _name_in(physical_id: str, type_name: str) -> str:
    if type_name == "AWS::KMS::Alias":
        return physical_id
    if type_name == "AWS::Lambda::LayerVersion":
        return physical_id.split(":")[6]
    if physical_id.startswith("arn:"):
        return (
            re.split(r"[:/]", physical_id, maxsplit=5)[5].split(":")[-1].removeprefix("policy/").removeprefix("role/")
        )
    # A rule on a bus other than the default one is called `bus|rule`.
    return physical_id.rpartition("/")[2] if physical_id.startswith("http") else physical_id.rpartition("|")[2]
