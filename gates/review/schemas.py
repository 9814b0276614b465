"""What CloudFormation can change in place, from the registry's schemas that come with cfn-lint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import cfnlint
from cfnlint.schema._exceptions import ResourceNotFoundError
from cfnlint.schema.manager import ProviderSchemaManager

from gates.review.assembly import Json

# The package's own data. The manager would prefer a newer download in the user's cache, and judge by machine.
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
"""What the user guide says is replaced and the schemas do not say, for the types of the services here and for those
that hold data (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/)."""

MAYBE_CREATE_ONLY: Final[Mapping[str, Sequence[str]]] = {
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
"""The same, for what is replaced under some circumstances."""


@dataclass(frozen=True)
class Schema:
    """What of a resource type's schema decides how it is updated.

    Args:
        create_only: properties whose change replaces the resource, as paths; `*` is any item.
        maybe_create_only: properties whose change replaces it under some circumstances.
        identifiers: the properties that name it.
        attributes: what only AWS gives it.
        updatable: whether it has an update at all; without one every change replaces it.
        deletes_first: whether a replacement may keep the name, because the old one goes before the new one comes.
    """

    create_only: tuple[tuple[str, ...], ...]
    maybe_create_only: tuple[tuple[str, ...], ...]
    identifiers: frozenset[str]
    attributes: frozenset[str]
    updatable: bool
    deletes_first: bool


@cache
def _manager() -> ProviderSchemaManager:
    return ProviderSchemaManager(providers_dir=_DATA / "providers", resources_dir=_DATA / "resources")


@cache
def schema(resource_type: str, region: str) -> Schema | None:
    """The schema of a type, or None where the registry has none: what a change does to it cannot be known.

    Args:
        resource_type: `AWS::S3::Bucket`, …; custom resources have one schema.
        region: a region that does not have the type is judged by us-east-1.
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
    return Schema(
        create_only=tuple(dict.fromkeys((*_paths(found, "createOnlyProperties"), *named, *also))),
        maybe_create_only=(*_paths(found, "conditionalCreateOnlyProperties"), *maybe),
        identifiers=identifiers,
        attributes=read_only,
        updatable=handlers is None or "update" in handlers,
        deletes_first=found.get("replacementStrategy") == "delete_then_create",
    )


def _paths(found: Mapping[str, Any], key: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(pointer.removeprefix("/properties/").split("/")) for pointer in found.get(key, ()))


def values_at(properties: Json, path: Sequence[str]) -> list[Json]:
    """Every value at a path. Items of lists are gone through, whether the path has a `*` for them or not."""
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
