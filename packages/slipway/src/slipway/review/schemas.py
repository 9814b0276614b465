"""Determine from the registry's schemas, which cfn-lint contains, what CloudFormation can change in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cfnlint
from cfnlint.schema._exceptions import ResourceNotFoundError
from cfnlint.schema.manager import ProviderSchemaManager

from slipway.review.assembly import Json

# The package's own data: the manager would prefer a newer download in the user's cache, so results would depend on the
# machine.
_DATA = Path(cfnlint.__file__).parent / "data" / "schemas"
_FALLBACK_REGION = "us-east-1"

ALSO_CREATE_ONLY: Final[Mapping[str, Sequence[str]]] = {
    "AWS::CertificateManager::Certificate": ("ValidationMethod",),
    "AWS::DocDB::DBCluster": ("EngineVersion",),
    "AWS::DynamoDB::Table": ("KeySchema", "LocalSecondaryIndexes"),
    "AWS::EC2::EIP": ("Domain",),
    "AWS::ECS::Service": ("DeploymentController",),
    "AWS::ElastiCache::ReplicationGroup": ("Engine", "ReplicasPerNodeGroup"),
    "AWS::Events::EventBus": ("EventSourceName",),
    "AWS::FSx::FileSystem": ("FileSystemTypeVersion",),
    "AWS::Glue::Database": ("CatalogId",),
    "AWS::Lambda::EventSourceMapping": ("AmazonManagedKafkaEventSourceConfig", "SelfManagedKafkaEventSourceConfig"),
    "AWS::RDS::DBInstance": ("Port",),
    "AWS::S3::Bucket": ("ObjectLockEnabled",),
    "AWS::Transfer::Server": ("IdentityProviderType",),
}
"""Properties that cause replacement according to the user guide, but not in the schemas, for the types of the services
here and for those that contain data (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/).
"""

MAYBE_CREATE_ONLY: Final[Mapping[str, Sequence[str]]] = {
    # Not in the user guide: Cognito refuses each of these changes, or CloudFormation creates a new, empty pool:
    # https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-attributes-considerations.html
    "AWS::Cognito::UserPool": ("AliasAttributes", "UsernameAttributes", "UsernameConfiguration"),
    "AWS::CodeCommit::Repository": ("Triggers",),
    "AWS::ElastiCache::CacheCluster": ("AZMode", "NumCacheNodes", "PreferredAvailabilityZone"),
    "AWS::ElastiCache::ReplicationGroup": ("NumNodeGroups",),
    "AWS::Elasticsearch::Domain": (
        "AdvancedSecurityOptions",
        "ElasticsearchVersion",
        "EncryptionAtRestOptions",
        "NodeToNodeEncryptionOptions",
    ),
    "AWS::EMR::Cluster": ("Instances",),
    "AWS::RDS::DBInstance": ("StorageType",),
}
"""Properties that may cause replacement, likewise."""

_ALWAYS_SETS = frozenset({"Tags", "Statement"})

ALSO_SETS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "AWS::ApiGateway::UsagePlan": (("ApiStages",),),
    "AWS::ApiGatewayV2::Api": tuple(
        ("CorsConfiguration", name) for name in ("AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders")
    ),
    "AWS::ApiGatewayV2::Authorizer": (("JwtConfiguration", "Audience"),),
    "AWS::CloudFront::CachePolicy": tuple(
        ("CachePolicyConfig", "ParametersInCacheKeyAndForwardedToOrigin", f"{name}Config", f"{name}s")
        for name in ("Cookie", "Header", "QueryString")
    ),
    "AWS::CloudFront::Distribution": (
        ("DistributionConfig", "Aliases"),
        ("DistributionConfig", "Origins"),
        ("DistributionConfig", "DefaultCacheBehavior", "AllowedMethods"),
        ("DistributionConfig", "DefaultCacheBehavior", "CachedMethods"),
        ("DistributionConfig", "Restrictions", "GeoRestriction", "Locations"),
    ),
    "AWS::CloudWatch::Alarm": (("AlarmActions",), ("InsufficientDataActions",), ("Metrics",), ("OKActions",)),
    "AWS::CodeBuild::Project": (("Cache", "Modes"), ("Environment", "EnvironmentVariables")),
    "AWS::CodeDeploy::DeploymentGroup": (("AlarmConfiguration", "Alarms"), ("AutoRollbackConfiguration", "Events")),
    "AWS::Cognito::UserPool": (("AliasAttributes",), ("AutoVerifiedAttributes",), ("EnabledMfas",), ("Schema",)),
    "AWS::Cognito::UserPoolClient": tuple(
        (name,)
        for name in (
            "AllowedOAuthFlows",
            "AllowedOAuthScopes",
            "CallbackURLs",
            "ExplicitAuthFlows",
            "LogoutURLs",
            "ReadAttributes",
            "SupportedIdentityProviders",
            "WriteAttributes",
        )
    ),
    "AWS::DynamoDB::Table": (
        ("AttributeDefinitions",),
        ("GlobalSecondaryIndexes",),
        ("GlobalSecondaryIndexes", "*", "Projection", "NonKeyAttributes"),
        ("LocalSecondaryIndexes",),
    ),
    "AWS::EC2::SecurityGroup": (("SecurityGroupEgress",), ("SecurityGroupIngress",)),
    "AWS::Lambda::EventSourceMapping": (("FilterCriteria", "Filters"), ("FunctionResponseTypes",)),
    "AWS::Lambda::Function": (("VpcConfig", "SecurityGroupIds"), ("VpcConfig", "SubnetIds")),
    "AWS::S3::Bucket": (
        ("LifecycleConfiguration", "Rules"),
        ("LifecycleConfiguration", "Rules", "*", "NoncurrentVersionTransitions"),
        ("LifecycleConfiguration", "Rules", "*", "TagFilters"),
        ("LifecycleConfiguration", "Rules", "*", "Transitions"),
    ),
    "AWS::SNS::Topic": (("Subscription",),),
    "AWS::WAFv2::WebACL": (("Rules",),),
}
"""Lists whose items have no order according to the user guide, but not in the schemas. A firewall rule has its order in
its priority.
"""


@dataclass(frozen=True)
class Schema:
    """The parts of a resource type's schema that decide how it is updated.

    Args:
        create_only: Properties whose change replaces the resource, as paths; `*` is any item.
        maybe_create_only: Properties whose change replaces it under some circumstances.
        identifiers: The properties that name it.
        attributes: Attributes that AWS assigns.
        properties: Top-level properties that a template can set.
        updatable: True if it can be updated; otherwise every change replaces it.
        deletes_first: True if a replacement may keep the name, because the old one is deleted before the new one is
            created.
        sets: Paths of unordered lists.
        defaults: AWS's defaults: the path of the setting, the path of the default's owner (the setting itself or an
            enclosing block), and the value.
    """

    create_only: tuple[tuple[str, ...], ...]
    maybe_create_only: tuple[tuple[str, ...], ...]
    identifiers: frozenset[str]
    attributes: frozenset[str]
    properties: frozenset[str]
    updatable: bool
    deletes_first: bool
    sets: frozenset[tuple[str, ...]]
    defaults: Mapping[tuple[str, ...], tuple[tuple[str, ...], Json]]


@cache
def _manager() -> ProviderSchemaManager:
    return ProviderSchemaManager(providers_dir=_DATA / "providers", resources_dir=_DATA / "resources")


@cache
def schema(resource_type: str, region: str) -> Schema | None:
    """Return the schema of a type; None if the registry has none, so that the effect of a change is unknown.

    Args:
        resource_type: `AWS::S3::Bucket`, …; custom resources have one schema.
        region: The region; us-east-1's schema is used if the region lacks the type.
    """
    for place in (region, _FALLBACK_REGION):
        try:
            found: Mapping[str, Any] = _manager().get_resource_schema(place, resource_type).schema
        except (ResourceNotFoundError, KeyError):
            continue
        return _schema(resource_type, found)
    return None


def _schema(resource_type: str, found: Mapping[str, Any]) -> Schema:
    read_only = frozenset(path[0] for path in _paths(found, "readOnlyProperties"))
    also = tuple((name,) for name in ALSO_CREATE_ONLY.get(resource_type, ()))
    maybe = tuple((name,) for name in MAYBE_CREATE_ONLY.get(resource_type, ()))
    identifiers = frozenset(path[0] for path in _paths(found, "primaryIdentifier"))
    named = tuple((name,) for name in sorted(identifiers - read_only))
    handlers = found.get("handlers")
    nodes = tuple(_nodes(found, {"properties": found.get("properties", {})}, ()))
    return Schema(
        create_only=tuple(dict.fromkeys((*_paths(found, "createOnlyProperties"), *named, *also))),
        maybe_create_only=(*_paths(found, "conditionalCreateOnlyProperties"), *maybe),
        identifiers=identifiers,
        attributes=read_only,
        properties=frozenset(found.get("properties", {})) - read_only,
        updatable=handlers is None or "update" in handlers,
        deletes_first=found.get("replacementStrategy") == "delete_then_create",
        sets=frozenset(path for path, node in nodes if node.get("insertionOrder") is False),
        defaults=dict(_defaults(nodes)),
    )


def _nodes(
    found: Mapping[str, Any], node: Mapping[str, Any], path: tuple[str, ...], within: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield every property below one, with its path; `*` is any item. A recursive definition is followed once."""
    pointer = str(node.get("$ref", ""))
    if pointer:
        if pointer in within:
            return
        within = (*within, pointer)
        node = {**found.get("definitions", {}).get(pointer.rpartition("/")[2], {}), **node}
    if path:
        yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from _nodes(found, inner, (*path, name), within)
    if isinstance(node.get("items"), dict):
        yield from _nodes(found, node["items"], (*path, "*"), within)


def _defaults(
    nodes: Iterable[tuple[tuple[str, ...], Mapping[str, Any]]],
) -> Iterator[tuple[tuple[str, ...], tuple[tuple[str, ...], Json]]]:
    for path, node in nodes:
        if "default" in node:
            for below, value in _scalars(node["default"], ()):
                yield (*path, *below), (path, value)


def _scalars(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _scalars(inner, (*path, key))
        # Items without a name cannot be matched.
        case list():
            return
        case _:
            yield path, value


def matches(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Return True if a path begins like a pattern; `*` is any name or item."""
    return len(path) >= len(pattern) and all(
        mine in {"*", its} for mine, its in zip(pattern, path[: len(pattern)], strict=True)
    )


def is_set(resource_type: str, rules: Schema | None) -> Callable[[tuple[str, ...]], bool]:
    """Return a function that returns True if AWS treats the list at a path as a set without order.

    Args:
        resource_type: The type that the path is of.
        rules: Its schema, if there is one.
    """
    known = [*(rules.sets if rules else ()), *ALSO_SETS.get(resource_type, ())]

    def tells(path: tuple[str, ...]) -> bool:
        if path and (path[-1] in _ALWAYS_SETS or "Statement" in path):
            return True
        return any(len(pattern) == len(path) and matches(pattern, path) for pattern in known)

    return tells


def _paths(found: Mapping[str, Any], key: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(pointer.removeprefix("/properties/").split("/")) for pointer in found.get(key, ()))


def values_at(properties: Json, path: Sequence[str]) -> list[Json]:
    """Return every value at a path. Lists are traversed even if the path has no `*` for them."""
    if not path:
        return [properties]
    if isinstance(properties, list):
        below = path[1:] if path[0] == "*" else path
        return [found for item in properties for found in values_at(item, below)]
    if not isinstance(properties, dict):
        return []
    head, below = path[0], path[1:]
    if head == "*":
        return [found for key in sorted(properties) for found in values_at(properties[key], below)]
    return values_at(properties[head], below) if head in properties else []
