"""Policy statements as sets of permissions, and the difference between them.

A statement allows (or denies) every combination of its principals, actions and resources under its conditions. The
question is always the same: which of those combinations do other statements not cover? Wildcards are compared by
inclusion. Unknown combinations count as not covered: they are reported rather than missed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from slipway.review.assembly import Json
from slipway.review.iam.actions import known_actions, matching_actions
from slipway.review.iam.conditions import Condition, implies, read_conditions
from slipway.review.patterns import covered, overlaps

EVERYBODY = "*"

_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True)
class Patterns:
    """Everything that patterns match, or everything else.

    Args:
        named: The patterns.
        others: True for everything else: `NotAction`, `NotResource`, `NotPrincipal`.
    """

    named: frozenset[str]
    others: bool = False

    def __str__(self) -> str:
        text = ", ".join(sorted(self.named))
        return f"everything but {text}" if self.others else text

    def among(self, actions: frozenset[str]) -> frozenset[str]:
        """Return which of some actions are included."""
        # With set operations, because `*` stands for tens of thousands of actions.
        named = frozenset().union(*(matching_actions(name) for name in self.named))
        listed = actions & known_actions()
        meant = listed - named if self.others else listed & named
        return meant | {action for action in actions - listed if self.covers(action)}

    def covers(self, pattern: str) -> bool:
        """Return True if everything that a pattern matches is included."""
        if self.others:
            return not any(overlaps(pattern, name) for name in self.named)
        return covered(pattern, self.named)


@dataclass(frozen=True)
class Statement:
    """One statement.

    Args:
        allow: True if it allows, False if it denies.
        principals: The principals; None in an identity's policy.
        actions: The actions, in lower case.
        resources: The resources.
        conditions: The conditions, all of which must hold.
        spelling: The actions as written; IAM ignores case.
    """

    allow: bool
    principals: Patterns | None
    actions: Patterns
    resources: Patterns
    conditions: frozenset[Condition]
    spelling: Mapping[str, str] = field(default_factory=dict, compare=False, hash=False)


@dataclass(frozen=True, order=True)
class Permission:
    """A permission.

    Args:
        principal: The principal; empty for the identity with the policy.
        action: The action.
        resource: The resource.
        condition: The conditions.
        examples: Known actions that a pattern adds; all of them if they are few.
        known: Number of known actions that it adds; 0 for a pattern that only matches future actions of AWS.
    """

    principal: str
    action: str
    resource: str
    condition: str
    examples: tuple[str, ...] = ()
    known: int = 1


def read_statements(document: Json, *, identity: bool) -> list[Statement]:
    """Return the statements of a policy document.

    Args:
        document: The resolved document; a string is read as JSON.
        identity: True for an identity's policy, which names no principals.
    """
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return [_unreadable(document, identity=identity)]
    if not isinstance(document, Mapping):
        return [_unreadable(document, identity=identity)]
    statements = document.get("Statement")
    return [
        read_statement(statement, identity=identity)
        for statement in (statements if isinstance(statements, list) else [statements])
        if statement is not None
    ]


def read_statement(statement: Json, *, identity: bool) -> Statement:
    """Return one statement; an unreadable one allows everything under a condition that no other implies."""
    if not isinstance(statement, Mapping):
        return _unreadable(statement, identity=identity)
    actions = _patterns(statement, "Action")
    resources = _patterns(statement, "Resource")
    return Statement(
        allow=statement.get("Effect") != "Deny",
        principals=None if identity else _principals(statement),
        actions=Patterns(frozenset(name.lower() for name in actions.named), actions.others),
        resources=resources,
        conditions=read_conditions(statement.get("Condition")),
        spelling={name.lower(): name for name in actions.named},
    )


def _unreadable(value: Json, *, identity: bool) -> Statement:
    everything = Patterns(frozenset({"*"}))
    text = json.dumps(value, sort_keys=True, default=str)
    return Statement(
        allow=True,
        principals=None if identity else everything,
        actions=everything,
        resources=everything,
        conditions=frozenset({Condition("unreadable", "", frozenset({text}))}),
    )


def _patterns(statement: Mapping[str, Json], name: str) -> Patterns:
    # A trust policy omits the resource, which is the role itself.
    if f"Not{name}" in statement:
        return Patterns(frozenset(map(_text, _listed(statement[f"Not{name}"]))), others=True)
    return Patterns(frozenset(map(_text, _listed(statement.get(name, "*")))))


def _principals(statement: Mapping[str, Json]) -> Patterns:
    for name, others in (("Principal", False), ("NotPrincipal", True)):
        if name in statement:
            return Patterns(frozenset(read_principals(statement[name])), others)
    return Patterns(frozenset({EVERYBODY}))


def read_principals(principal: Json) -> Iterator[str]:
    """Yield principals in comparable form: `*`, an ARN, `service:…`, `federated:…`, `canonicaluser:…`."""
    if not isinstance(principal, Mapping):
        yield from map(_text, _listed(principal))
        return
    for kind, names in principal.items():
        for name in map(_text, _listed(names)):
            if kind != "AWS":
                yield f"{kind.lower()}:{name}"
            else:
                yield f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def uncovered(statement: Statement, by: Sequence[Statement], dead_by: Sequence[Statement] = ()) -> Iterator[Permission]:
    """Yield the permissions of a statement that no other covers.

    Args:
        statement: The statement.
        by: Statements of the same effect.
        dead_by: Denials that void a part of it.
    """
    if statement in by:
        return
    fitting = [other for other in by if implies(statement.conditions, other.conditions)]
    void = [other for other in dead_by if implies(statement.conditions, other.conditions)]
    condition = " and ".join(map(str, sorted(statement.conditions)))
    for principal in _principals_of(statement):
        ones = [other for other in fitting if _meets(other, statement, principal)]
        voids = [other for other in void if _meets(other, statement, principal)]
        who = "" if principal is None else f"everybody but {principal}" if _but(statement) else principal
        for resource in sorted(statement.resources.named) if not statement.resources.others else [None]:
            on = str(statement.resources) if resource is None else resource
            for action, examples, known in _uncovered_actions(statement, resource, ones, voids):
                yield Permission(who, statement.spelling.get(action, action), on, condition, examples, known)


def _but(statement: Statement) -> bool:
    return statement.principals is not None and statement.principals.others


def _principals_of(statement: Statement) -> Sequence[str | None]:
    if statement.principals is None:
        return [None]
    if statement.principals.others:
        return [", ".join(sorted(statement.principals.named))]
    return sorted(statement.principals.named)


def _meets(other: Statement, statement: Statement, principal: str | None) -> bool:
    """Return True if another statement covers a principal of this one."""
    if other.principals is None or statement.principals is None or principal is None:
        return other.principals is None and statement.principals is None
    if not other.principals.others and EVERYBODY in other.principals.named:
        return True
    if statement.principals.others:
        return other.principals.others and other.principals.named <= statement.principals.named
    return not other.principals.others and principal in other.principals.named


_SHOWN = 12


def _uncovered_actions(
    statement: Statement, resource: str | None, ones: Sequence[Statement], voids: Sequence[Statement]
) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield the actions of a statement that are not covered on a resource; None for a statement's whole pattern."""
    actions = statement.actions
    if actions.others:
        groups = [(str(actions), actions.among(known_actions()))]
    else:
        groups = [(pattern, matching_actions(pattern)) for pattern in sorted(actions.named)]
    for name, expanded in groups:
        plain = not actions.others and expanded == {name}
        missing = frozenset().union(*_missing(statement, resource, expanded, ones, voids))
        if plain:
            if missing:
                yield name, (), 1
            continue
        later = not _covers_pattern(statement, resource, name, ones, voids)
        if missing or later:
            examples = sorted(missing)
            yield name, tuple(examples[:_SHOWN]), len(examples)


def _missing(
    statement: Statement,
    resource: str | None,
    actions: Iterable[str],
    ones: Sequence[Statement],
    voids: Sequence[Statement],
) -> Iterator[frozenset[str]]:
    """Yield actions that are not covered, grouped by the statements that name them."""
    groups: dict[tuple[int, ...], frozenset[str]] = {(): frozenset(actions)}
    others = [*ones, *voids]
    for index, other in enumerate(others):
        split: dict[tuple[int, ...], frozenset[str]] = {}
        for naming, group in groups.items():
            meant = other.actions.among(group)
            split[*naming, index] = meant
            split[naming] = group - meant
        groups = {naming: group for naming, group in split.items() if group}
    for naming, group in groups.items():
        covering = [others[index].resources for index in naming if index < len(ones)]
        voiding = [others[index].resources for index in naming if index >= len(ones)]
        if not _covers_resource(statement, resource, covering) and not _covers_resource(statement, resource, voiding):
            yield group


def _covers_pattern(
    statement: Statement, resource: str | None, pattern: str, ones: Sequence[Statement], voids: Sequence[Statement]
) -> bool:
    """Return True if actions that AWS adds later are covered too."""

    def covering(others: Sequence[Statement]) -> list[Patterns]:
        if not statement.actions.others:
            return [other.resources for other in others if other.actions.covers(pattern)]
        return [
            other.resources
            for other in others
            if (other.actions.others and other.actions.named <= statement.actions.named)
            or (not other.actions.others and "*" in other.actions.named)
        ]

    return any(_covers_resource(statement, resource, covering(others)) for others in (ones, voids))


def _covers_resource(statement: Statement, resource: str | None, by: Sequence[Patterns]) -> bool:
    named = frozenset().union(*(patterns.named for patterns in by if not patterns.others))
    if "*" in named:
        return True
    if resource is None:
        return any(
            patterns.others and all(covered(name, statement.resources.named) for name in patterns.named)
            for patterns in by
        )
    return bool(named and covered(resource, named)) or any(
        patterns.covers(resource) for patterns in by if patterns.others
    )
