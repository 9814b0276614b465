"""Statements of resource policies, as far as a template shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from slipway.rules.model import listed

SOURCES = frozenset({"aws:sourceaccount", "aws:sourcearn", "aws:sourceorgid", "aws:sourceorgpaths", "aws:sourceowner"})
"""Condition keys that name the resource for which a service acts, in lower case, because key names are
case-insensitive.
"""


def statements(policy: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the statements of a policy document."""
    found = policy.get("Statement", []) if isinstance(policy, dict) else []
    return (statement for statement in listed(found) if isinstance(statement, dict))


def allows_service(policy: Any, service: str, *actions: str) -> bool:
    """Return True if a policy allows a service all of the actions, in one statement or several.

    Args:
        policy: The document.
        service: The principal, such as `cloudwatch.amazonaws.com`.
        actions: Such as `sns:Publish`.
    """
    return all(any(True for _ in allowing(policy, service, action)) for action in actions)


def allowing(policy: Any, service: str, action: str) -> Iterator[Mapping[str, Any]]:
    """Yield the statements that allow a service an action.

    Args:
        policy: The document.
        service: The principal.
        action: The action.
    """
    for statement in statements(policy):
        if (
            statement.get("Effect") == "Allow"
            and _names(statement.get("Principal"), service)
            and any(
                fnmatchcase(action.lower(), str(pattern).lower()) for pattern in listed(statement.get("Action", []))
            )
        ):
            yield statement


def condition_keys(statement: Mapping[str, Any]) -> frozenset[str]:
    """Return the keys of a statement's conditions, in lower case."""
    conditions = statement.get("Condition") or {}
    return frozenset(
        str(key).lower() for operands in conditions.values() if isinstance(operands, dict) for key in operands
    )


def asks_for_source(statement: Mapping[str, Any]) -> bool:
    """Return True if a statement limits the resources for which a service may act."""
    return bool(condition_keys(statement) & SOURCES)


def _names(principal: Any, service: str) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    services = [_service(each) for each in listed(principal.get("Service", []))]
    return service in services or "*" in listed(principal.get("AWS", []))


def _service(value: Any) -> str:
    """Return a service's name; `codedeploy.<region>.amazonaws.com` is `codedeploy.amazonaws.com`."""
    text = value if isinstance(value, str) else ""
    return re.sub(r"\.[a-z]{2}(-[a-z]+)+-\d\.", ".", text)
