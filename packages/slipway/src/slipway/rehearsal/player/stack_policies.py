"""Evaluate stack policies, as CloudFormation does at an update.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/protect-stack-resources.html. The emulator only stores
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from slipway.errors import RehearsalError
from slipway.rehearsal.player.records import PlayedChange

_STATEMENT = frozenset({"Action", "NotAction", "Condition", "Effect", "Principal", "Resource", "NotResource", "Sid"})
_OPERATORS = frozenset({"StringEquals", "StringLike"})


def denials(policy: Mapping[str, Any], changes: Sequence[PlayedChange]) -> Iterator[tuple[PlayedChange, str]]:
    """Yield the changes that a stack policy denies, each with CloudFormation's reason.

    Args:
        policy: The stack's policy. Changes that no statement allows are denied.
        changes: Changes of the change set. A conditional replacement counts as an update in place, because
            CloudFormation only decides it when it executes the change set.

    Raises:
        RehearsalError: The policy uses a feature that the player does not support.
    """
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, Mapping) else statements
    for statement in statements:
        _check(statement)
    for change in changes:
        action = _action(change)
        if action is None:
            continue
        meant = [(number, each) for number, each in enumerate(statements, 1) if _is_meant(each, action, change)]
        denied = next((number for number, each in meant if each["Effect"] == "Deny"), None)
        if denied is not None:
            said = f"Statement [#{denied}] does not allow [{action}]"
        elif not meant:
            said = f"no statement allows [{action}]"
        else:
            continue
        yield change, f"Action denied by stack policy: {said} for resource [LogicalResourceId/{change.logical_id}]"


def _action(change: PlayedChange) -> str | None:
    """Return the stack policy's action for a change; None if policies don't cover it."""
    match change.action:
        case "Remove":
            return "Update:Delete"
        case "Modify":
            return "Update:Replace" if change.replacement == "True" else "Update:Modify"
        case _:
            return None


def _check(statement: Mapping[str, Any]) -> None:
    strangers = sorted(statement.keys() - _STATEMENT)
    conditions = statement.get("Condition", {})
    strangers += sorted(conditions.keys() - _OPERATORS)
    strangers += sorted({key for keys in conditions.values() for key in keys} - {"ResourceType"})
    if strangers:
        raise RehearsalError(f"the player does not support {', '.join(strangers)} in a stack policy")


def _is_meant(statement: Mapping[str, Any], action: str, change: PlayedChange) -> bool:
    resource = f"LogicalResourceId/{change.logical_id}"
    return (
        _matches(statement, "Action", action)
        and _matches(statement, "Resource", resource)
        and all(
            any(fnmatchcase(change.type, pattern) for pattern in _listed(patterns))
            for keys in statement.get("Condition", {}).values()
            for patterns in keys.values()
        )
    )


def _matches(statement: Mapping[str, Any], key: str, value: str) -> bool:
    if key in statement:
        return any(fnmatchcase(value, pattern) for pattern in _listed(statement[key]))
    return not any(fnmatchcase(value, pattern) for pattern in _listed(statement.get(f"Not{key}", [])))


def _listed(value: Any) -> list[str]:
    return list(value) if isinstance(value, list) else [value]
