"""Rules on permissions: no wildcards in actions, and `*` as a resource only if AWS supports nothing narrower."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.model import Found, Resource, Rule, Templates, data, listed, text

_DATA: Mapping[str, Any] = data("permissions.json")

WITHOUT_RESOURCE_LEVEL = frozenset(_DATA["without_resource_level"])
"""Actions for which the service authorization reference lists no resource type."""

_KEY_GROUPS = frozenset(_DATA["key_policy_groups"])

# Policies of identities, with the paths of their documents.
_OF_IDENTITIES = {
    "AWS::IAM::GroupPolicy": ("PolicyDocument",),
    "AWS::IAM::ManagedPolicy": ("PolicyDocument",),
    "AWS::IAM::Policy": ("PolicyDocument",),
    "AWS::IAM::RolePolicy": ("PolicyDocument",),
}
# Resource policies: there `*` means the resource itself, so only their actions are checked.
_ON_RESOURCES = {
    "AWS::Backup::BackupVault": ("AccessPolicy",),
    "AWS::Events::EventBusPolicy": ("Statement",),
    "AWS::KMS::Key": ("KeyPolicy",),
    "AWS::S3::BucketPolicy": ("PolicyDocument",),
    "AWS::SNS::TopicPolicy": ("PolicyDocument",),
    "AWS::SQS::QueuePolicy": ("PolicyDocument",),
    "AWS::SecretsManager::ResourcePolicy": ("ResourcePolicy",),
}


def _inexact(templates: Templates) -> Iterator[Found]:
    for resource in templates.of_type("AWS::IAM::Role", *_OF_IDENTITIES):
        for statement in _allowing(_documents(resource)):
            yield from _actions(resource, statement)
            yield from _resources(resource, statement)
    for resource in templates.of_type(*_ON_RESOURCES):
        for statement in _allowing([resource.get(*_ON_RESOURCES[resource.type])]):
            if resource.type != "AWS::KMS::Key" or not _is_usual_for_a_key(resource, statement):
                yield from _actions(resource, statement)


def _documents(resource: Resource) -> list[Any]:
    if resource.type == "AWS::IAM::Role":
        return [policy.get("PolicyDocument") for policy in resource.get("Policies") or []]
    return [resource.get(*_OF_IDENTITIES[resource.type])]


def _allowing(documents: list[Any]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        statements = document.get("Statement", document) if isinstance(document, dict) else []
        yield from (statement for statement in listed(statements) if statement.get("Effect") == "Allow")


def _actions(resource: Resource, statement: Mapping[str, Any]) -> Iterator[Found]:
    for key in ("NotAction", "NotResource"):
        if key in statement:
            yield Found(resource.stack, resource.logical_id, key)
    for action in listed(statement.get("Action", [])):
        if "*" in action or "?" in action:
            yield Found(resource.stack, resource.logical_id, f"Action::{action}")


def _resources(resource: Resource, statement: Mapping[str, Any]) -> Iterator[Found]:
    if "*" in listed(statement.get("Resource", [])):
        actions = set(listed(statement.get("Action", [])))
        if not actions <= WITHOUT_RESOURCE_LEVEL:
            yield Found(resource.stack, resource.logical_id, "Resource::*")


def _is_usual_for_a_key(key: Resource, statement: Mapping[str, Any]) -> bool:
    """Return True for statements that AWS's documentation puts into key policies; the data lists the sources."""
    principal = statement.get("Principal", {})
    match principal:
        case {"AWS": accounts} if len(principal) == 1:
            # The key's own account: its identities' own policies determine their access to the key.
            roots = (f":{key.stack.account}:root", ":<AWS::AccountId>:root")
            return all(text(account).endswith(roots) for account in listed(accounts))
        case {"Service": _} if len(principal) == 1:
            wildcards = {action for action in listed(statement.get("Action", [])) if "*" in action}
            return bool(statement.get("Condition")) and wildcards <= _KEY_GROUPS
    return False


RULES = (
    Rule(
        name="ExactPermissions",
        says="A policy allows actions by a wildcard or by exclusion, or an action on all resources although AWS "
        "can limit it to one.",
        fix="Name the actions and the resources. Actions without resource-level permissions are listed in "
        "slipway/rules/data/permissions.json.",
        check=_inexact,
    ),
)
