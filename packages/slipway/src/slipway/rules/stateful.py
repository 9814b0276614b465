"""Rules on data: it must be retained, protected, and in a stack of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.model import Found, Resource, Rule, Templates, data
from slipway.settings.model import RemovalPolicy

STATEFUL_STACKS = ("Security", "Data")
"""Stacks of a service with data that must not be lost. The pipeline has a single stack."""

_DATA: Mapping[str, Any] = data("stateful.json")

TYPES = frozenset(_DATA["types"])
"""Resource types with irreplaceable contents."""

# Deleting the key loses everything encrypted under it, even in a disposable environment.
_ALWAYS_RETAINED = "AWS::KMS::Key"
_KEPT = {"Retain", "RetainExceptOnCreate", "Snapshot"}


def _stateful(templates: Templates) -> Iterator[Resource]:
    return templates.of_type(*sorted(TYPES))


def _not_retained(templates: Templates) -> Iterator[Found]:
    for resource in _stateful(templates):
        wanted = resource.stack.stateful
        retain = wanted is not None and wanted.removal_policy is RemovalPolicy.RETAIN
        policies = {resource.body.get("DeletionPolicy"), resource.body.get("UpdateReplacePolicy")}
        if (retain or resource.type == _ALWAYS_RETAINED) and not policies <= _KEPT:
            yield Found(resource.stack, resource.logical_id)


def _not_protected(templates: Templates) -> Iterator[Found]:
    for resource in _stateful(templates):
        protection = _DATA["deletion_protection"].get(resource.type)
        if (
            protection is not None
            and resource.stack.stateful is not None
            and resource.stack.stateful.deletion_protection
            and resource.get(*protection["property"]) != protection["value"]
        ):
            yield Found(resource.stack, resource.logical_id)


def _in_a_stateless_stack(templates: Templates) -> Iterator[Found]:
    for resource in _stateful(templates):
        if resource.stack.environment and resource.stack.home.rpartition("/")[2] not in STATEFUL_STACKS:
            yield Found(resource.stack, resource.logical_id)


def _stack_can_be_deleted(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        wanted = stack.stateful is not None and stack.stateful.termination_protection
        if wanted and not stack.termination_protection and any(stack.of_type(*TYPES)):
            yield Found(stack)


RULES = (
    Rule(
        name="StatefulRetained",
        says="A resource with data, a key or a secret is deleted when it is removed or replaced.",
        fix="Give it the environment's removal policy (slipway.blocks.removal).",
        check=_not_retained,
    ),
    Rule(
        name="StatefulProtected",
        says="A resource with data can be deleted by one call, although the configuration requires protection.",
        fix="Pass environment.stateful.deletion_protection to it.",
        check=_not_protected,
    ),
    Rule(
        name="StatefulApart",
        says="A resource with data, a key or a secret is in a stack that may be replaced at any time.",
        fix="Create it in add_security or add_data of its service.",
        check=_in_a_stateless_stack,
    ),
    Rule(
        name="StatefulStackProtected",
        says="A stack with data, keys or secrets can be deleted, although the configuration requires protection.",
        fix="Give the stack termination_protection from the configuration.",
        check=_stack_can_be_deleted,
    ),
)
