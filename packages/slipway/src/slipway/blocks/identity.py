"""What a function uses, and whether it is still the same thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import jsii
from aws_cdk import CfnElement, CfnResource, IStableStringProducer, Lazy, Reference, Stack, Tokenization

REPLACED_BY: Mapping[str, frozenset[str]] = {
    "AWS::Cognito::UserPool": frozenset({"AliasAttributes", "UsernameAttributes", "UsernameConfiguration"}),
    "AWS::Cognito::UserPoolClient": frozenset({"GenerateSecret", "UserPoolId"}),
    "AWS::DynamoDB::Table": frozenset({"ImportSourceSpecification", "KeySchema", "LocalSecondaryIndexes", "TableName"}),
    "AWS::IAM::Role": frozenset({"Path", "RoleName"}),
    "AWS::KMS::Key": frozenset(),
    "AWS::Lambda::Alias": frozenset({"FunctionName", "Name"}),
    "AWS::Lambda::Function": frozenset({"DurableConfig", "FunctionName", "PackageType", "TenancyConfig"}),
    "AWS::Logs::LogGroup": frozenset({"LogGroupName"}),
    "AWS::S3::Bucket": frozenset({"BucketName", "BucketNamePrefix", "BucketNamespace", "ObjectLockEnabled"}),
    "AWS::SNS::Topic": frozenset({"FifoTopic", "TopicName"}),
    "AWS::SQS::Queue": frozenset({"FifoQueue", "QueueName"}),
    "AWS::SecretsManager::Secret": frozenset({"Name"}),
}
"""Properties whose change replaces a resource, by type
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html). Of a
type that is missing here, every property counts."""

_UNRESOLVED = "${Token["
"""How a reference stands in a text until synthesis (https://docs.aws.amazon.com/cdk/v2/guide/tokens.html). What has
none needs no asking."""


def with_identity(description: str, values: Iterable[str]) -> str:
    """Return a description that changes whenever something that a function uses is replaced.

    A reference to a resource reads the same after the resource was replaced under the same id. Then the template of the
    function doesn't change: CDK makes no new version of it, and of an output of another stack that changed,
    CloudFormation tells nobody (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
    intrinsic-function-reference-getstackoutput.html). The alias would go on to serve the old table or bucket.

    Args:
        description: what the function does, in one line.
        values: what it is configured with, such as its environment variables; references in them are followed.

    Returns:
        The description, with a digest of what replaces the resources at its end. It is known at synthesis.
    """
    return Lazy.string(_Described(description, list(values)))


@jsii.implements(IStableStringProducer)
class _Described:
    def __init__(self, description: str, values: list[str]) -> None:
        self._description, self._values = description, values

    def produce(self) -> str:
        used = _identities(self._values)
        if not used:
            return self._description
        digest = hashlib.sha256(json.dumps(used, sort_keys=True).encode()).hexdigest()
        return f"{self._description} (uses {digest[:8]})"


def _identities(values: Iterable[str]) -> dict[str, Any]:
    """Path → what replaces it, of every resource that is referred to, and of those that they depend on for theirs."""
    found: dict[str, Any] = {}
    waiting = [target for value in values for target in _targets(value)]
    while waiting:
        target = waiting.pop()
        identity = _identity(target)
        if identity.path not in found:
            found[identity.path] = identity.decisive
            waiting += identity.targets
    return found


@dataclass(frozen=True)
class _Identity:
    """What decides whether a resource is still the same thing."""

    path: str
    decisive: Any
    """The properties whose change replaces it, resolved."""
    targets: tuple[CfnResource, ...]
    """The resources that those refer to."""


# All functions of a service use the same few resources, and each answer is eight calls into another process.
@lru_cache(maxsize=4096)
def _identity(target: CfnResource) -> _Identity:
    decisive = _decisive(target)
    targets = tuple(other for value in decisive.values() for other in _targets(value))
    return _Identity(target.node.path, Stack.of(target).resolve(decisive), targets)


def _decisive(target: CfnResource) -> dict[str, Any]:
    """Return the properties of a resource whose change replaces it."""
    names = REPLACED_BY.get(target.cfn_resource_type)
    lowered = None if names is None else {name.lower() for name in names}
    return {
        name: value
        for name, value in target._cfn_properties.items()
        if value is not None and (lowered is None or name.lower() in lowered)
    }


def _targets(value: Any) -> Iterator[CfnResource]:
    """The resources that a value refers to."""
    match value:
        case str():
            if _UNRESOLVED in value:
                yield from _targets_of_text(value)
        case dict():
            for inner in value.values():
                yield from _targets(inner)
        case list() | tuple():
            for inner in value:
                yield from _targets(inner)


# The number in a token is drawn once a process, so a text with one means the same wherever it turns up again.
@lru_cache(maxsize=4096)
def _targets_of_text(value: str) -> tuple[CfnResource, ...]:
    # By Python's classes: CDK's own checks would be a call into another process for each.
    targets = [token.target for token in Tokenization.reverse_string(value).tokens if isinstance(token, Reference)]
    return tuple(cast("CfnResource", target) for target in targets if isinstance(target, CfnElement))
