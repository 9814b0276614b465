"""Detect that a resource used by a function has been replaced."""

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
(https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html). For a
type that is missing here, every property counts.
"""

_UNRESOLVED = "${Token["
"""Marker of a reference in text before synthesis (https://docs.aws.amazon.com/cdk/v2/guide/tokens.html). Text without
it needs no resolving.
"""


def with_identity(description: str, values: Iterable[str]) -> str:
    """Return a description that changes whenever a resource that a function uses is replaced.

    A reference to a resource looks the same after the resource was replaced under the same id. The function's template
    then doesn't change: CDK creates no new version of it, and CloudFormation does not propagate a changed output of
    another stack (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/
    intrinsic-function-reference-getstackoutput.html). The alias would continue to use the old table or bucket.

    Args:
        description: What the function does, in one line.
        values: Its configuration, such as its environment variables; references in it are followed.

    Returns:
        The description, followed by a digest of the properties that replace the resources. It is known at synthesis.
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
    """Map each resource referred to, directly or through another's identity, to the properties that replace it."""
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
    """The properties that decide if a resource has been replaced."""

    path: str
    decisive: Any
    """The properties whose change replaces it, resolved."""
    targets: tuple[CfnResource, ...]
    """The resources that those refer to."""


# All functions of a service use the same few resources, and each result takes eight jsii calls.
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
    """Yield the resources that a value refers to."""
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


# A token's number is assigned once per process, so equal text has the same meaning wherever it appears.
@lru_cache(maxsize=4096)
def _targets_of_text(value: str) -> tuple[CfnResource, ...]:
    # Checked by Python's classes: CDK's own checks would each be a jsii call.
    targets = [token.target for token in Tokenization.reverse_string(value).tokens if isinstance(token, Reference)]
    return tuple(cast("CfnResource", target) for target in targets if isinstance(target, CfnElement))
