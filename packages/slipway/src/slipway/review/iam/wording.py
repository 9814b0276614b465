"""Describe permissions for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from slipway.review.iam.statements import Permission, Statement
from slipway.review.values import readable

_SHOWN: Final = 3


def apart(statements: Iterable[Statement]) -> tuple[list[Statement], list[Statement]]:
    """Return the statements that allow and those that deny, without duplicates."""
    allowed: list[Statement] = []
    denied: list[Statement] = []
    for statement in dict.fromkeys(statements):
        (allowed if statement.allow else denied).append(statement)
    return allowed, denied


def line(permission: Permission) -> str:
    """Return a permission as text for people."""
    who = f"{readable(permission.principal)}: " if permission.principal else ""
    if permission.known == 0:
        more = " (only future actions of AWS)"
    elif permission.examples:
        more = f" ({permission.known} more actions: {', '.join(permission.examples)}"
        more += ", …)" if permission.known > len(permission.examples) else ")"
    else:
        more = ""
    condition = f" when {readable(permission.condition)}" if permission.condition else ""
    return f"{who}{permission.action}{more} on {readable(permission.resource)}{condition}"


def shown(permissions: Sequence[Permission]) -> str:
    """Return the actions of some permissions, shortened; the details list resources and conditions."""
    names = list(
        dict.fromkeys(
            f"{permission.action} by {readable(permission.principal)}" if permission.principal else permission.action
            for permission in permissions
        )
    )
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
