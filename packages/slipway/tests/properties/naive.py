"""Oracles for the change review that share no code with it: plain dictionaries and loops that ask every question."""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

ROOT = Path(__file__).resolve().parents[4]
Json = Any

# Replacement

_SCHEMAS = Path(cfnlint.__file__).parent / "data" / "schemas"


@cache
def _files() -> dict[str, str]:
    found: dict[str, str] = json.loads((_SCHEMAS / "providers" / "us-east-1.json").read_text(encoding="utf-8"))
    return found


@cache
def create_only(resource_type: str) -> frozenset[str]:
    """Return the pointers of a type's schema whose change replaces the resource, as written in the schema."""
    name = "AWS::CloudFormation::CustomResource" if resource_type.startswith("Custom::") else resource_type
    if name not in _files():
        return frozenset()
    schema = json.loads((_SCHEMAS / "resources" / f"{_files()[name]}.json").read_text(encoding="utf-8"))
    return frozenset((*schema.get("createOnlyProperties", ()), *schema.get("conditionalCreateOnlyProperties", ())))


def is_create_only(resource_type: str, path: Sequence[str]) -> bool:
    """Return True if a schema says that a change at a path replaces: at it, above it, or below it."""
    changed = "/".join(part for part in path if not part.isdigit())
    for pointer in create_only(resource_type):
        fixed = "/".join(part for part in pointer.split("/")[2:] if part != "*")
        if changed == fixed or changed.startswith(f"{fixed}/"):
            return True
    return False


@cache
def _documented() -> dict[str, dict[str, str]]:
    """Return the user guide's statement about every property, from the CDK CLI's own database."""
    with gzip.open(ROOT / "node_modules" / "aws-cdk" / "db.json.gz") as file:
        entities = json.load(file)["schema"]["resource"]["entities"]
    return {
        entity["cloudFormationType"]: {
            name: definition.get("causesReplacement", "no") for name, definition in entity["properties"].items()
        }
        for entity in entities
    }


def is_documented_as_replaced(resource_type: str, name: str) -> bool:
    """Return True if the user guide says that a change of a property always replaces the resource."""
    return _documented().get(resource_type, {}).get(name) == "yes"


def is_documented(resource_type: str, name: str) -> bool:
    """Return True if the user guide documents a property."""
    return name in _documented().get(resource_type, {})


def refers(value: Json, logical_id: str) -> bool:
    """Return True if a template's value refers to a resource."""
    match value:
        case {"Ref": str(name)}:
            return name == logical_id
        case {"Fn::GetAtt": [str(name), str()]}:
            return name == logical_id
        case dict():
            return any(refers(inner, logical_id) for inner in value.values())
        case list():
            return any(refers(inner, logical_id) for inner in value)
    return False


# Conditions


def holds(expression: Json, parameters: Mapping[str, str]) -> bool:
    """Return True if a condition holds, given a value for every parameter that it uses."""
    match expression:
        case {"Fn::Not": [inner]}:
            return not holds(inner, parameters)
        case {"Fn::And": [*inner]}:
            return all(holds(each, parameters) for each in inner)
        case {"Fn::Or": [*inner]}:
            return any(holds(each, parameters) for each in inner)
        case {"Fn::Equals": [one, other]}:
            sides = [parameters[side["Ref"]] if isinstance(side, dict) else side for side in (one, other)]
            return bool(sides[0] == sides[1])
    raise AssertionError(expression)


def in_world(value: Json, *, holds: bool) -> Json:
    """Return a value with every condition decided and `AWS::NoValue` removed."""
    match value:
        case {"Fn::If": [_, one, other]}:
            return in_world(one if holds else other, holds=holds)
        case dict():
            members = {key: in_world(inner, holds=holds) for key, inner in value.items()}
            return {key: inner for key, inner in members.items() if inner != {"Ref": "AWS::NoValue"}}
        case list():
            items = [in_world(inner, holds=holds) for inner in value]
            return [inner for inner in items if inner != {"Ref": "AWS::NoValue"}]
    return value


# Permissions


@dataclass(frozen=True)
class Request:
    """One question: may this principal do this, on this resource, in this context?"""

    principal: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...]


def text(value: Json) -> str:
    """Return a value as text; a value known only at deployment becomes a unique word."""
    if isinstance(value, str):
        return value
    match value:
        case {"Fn::Join": [str(delimiter), list(parts)]}:
            return delimiter.join(text(part) for part in parts)
        case {"Ref": "AWS::Partition"}:
            return "aws"
    return "<" + re.sub(r"[^A-Za-z0-9]+", "-", json.dumps(value, sort_keys=True)) + ">"


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern), re.DOTALL)


def _matches(pattern: str, word: str) -> bool:
    return _regex(pattern).fullmatch(word) is not None


def _principals(statement: Mapping[str, Json]) -> list[str]:
    principal = statement.get("Principal", "*")
    if not isinstance(principal, dict):
        return [text(principal)]
    found = []
    for kind, entries in principal.items():
        for entry in map(text, _listed(entries)):
            if kind != "AWS":
                found.append(f"{kind.lower()}:{entry}")
            elif entry.isdigit():
                found.append(f"arn:aws:iam::{entry}:root")
            else:
                found.append(entry)
    return found


def holds_for(conditions: Mapping[str, Mapping[str, Json]], context: Mapping[str, str]) -> bool:
    """Return True if a statement's conditions hold for a request, given its lower-case keys."""
    return _holds(conditions, context)


def _holds(conditions: Mapping[str, Mapping[str, Json]], context: Mapping[str, str]) -> bool:
    for operator, keys in conditions.items():
        for key, values in keys.items():
            if not _condition(operator.lower(), context.get(key.lower()), [_value(value) for value in _listed(values)]):
                return False
    return True


def _value(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else text(value)


def _condition(operator: str, actual: str | None, values: list[str]) -> bool:
    optional = operator.endswith("ifexists")
    operator = operator.removesuffix("ifexists")
    for_all = operator.startswith("forallvalues:")
    operator = operator.removeprefix("forallvalues:").removeprefix("foranyvalue:")
    if operator == "null":
        return (actual is None) == (values == ["true"])
    negated = "not" in operator
    if actual is None:
        return optional or for_all or negated
    match operator.replace("not", ""):
        case "stringequals":
            met = actual in values
        case "stringlike" | "arnlike" | "arnequals":
            met = any(_matches(value, actual) for value in values)
        case "bool":
            met = actual.lower() in values
        case other:
            raise AssertionError(other)
    return met is not negated


@dataclass(frozen=True)
class _Asked:
    """A statement prepared for evaluation: everything that does not depend on the request is computed once."""

    effect: int
    principals: frozenset[str]
    actions: tuple[bool, tuple[str, ...]]
    resources: tuple[bool, tuple[str, ...]]
    conditions: Mapping[str, Mapping[str, Json]]

    def is_about(self, request: Request, *, identity: bool) -> bool:
        if not identity and not self.principals & {"*", request.principal}:
            return False
        if not _meant(self.actions, request.action.lower()) or not _meant(self.resources, request.resource):
            return False
        return not self.conditions or _holds(self.conditions, dict(request.context))


def _meant(element: tuple[bool, tuple[str, ...]], word: str) -> bool:
    others, patterns = element
    return any(_matches(pattern, word) for pattern in patterns) is not others


def _element(statement: Mapping[str, Json], key: str) -> tuple[bool, tuple[str, ...]]:
    if f"Not{key}" in statement:
        return True, tuple(text(entry) for entry in _listed(statement[f"Not{key}"]))
    return False, tuple(text(entry) for entry in _listed(statement.get(key, "*")))


def _asked(statement: Mapping[str, Json]) -> _Asked:
    others, actions = _element(statement, "Action")
    return _Asked(
        effect=-1 if statement["Effect"] == "Deny" else 1,
        principals=frozenset(_principals(statement)),
        actions=(others, tuple(action.lower() for action in actions)),
        resources=_element(statement, "Resource"),
        conditions=statement.get("Condition", {}),
    )


def _decision(statements: Sequence[_Asked], request: Request, *, identity: bool) -> int:
    """Return -1 if the request is denied, 1 if allowed, and 0 if no statement applies."""
    effects = {statement.effect for statement in statements if statement.is_about(request, identity=identity)}
    return -1 if -1 in effects else 1 if effects else 0


def questions(
    changed: Sequence[Mapping[str, Json]], others: Sequence[Mapping[str, Json]], *, identity: bool
) -> Iterator[Request]:
    """Return every request of a small world about some statements: what they name, and close variations.

    Args:
        changed: Added or removed statements. Requests that none of them concerns are decided as before.
        others: The other statements, whose conditions may matter as well.
        identity: True for statements of an identity policy.
    """
    principals = sorted({name for statement in changed for name in _principals(statement)} | {"stranger"})
    actions = _entries(changed, "Action")
    resources = _entries(changed, "Resource")
    asked = sorted({word for action in actions for word in _instances(action)} | {"s3:GetObject", "iam:PassRole"})
    on = sorted({word for resource in resources for word in _instances(resource)} | {"arn:aws:s3:::other"})
    contexts = _contexts([*changed, *others])
    for principal, action, resource, context in itertools.product(
        [""] if identity else principals, asked, on, contexts
    ):
        yield Request(principal, action, resource, context)


def _entries(statements: Sequence[Mapping[str, Json]], key: str) -> set[str]:
    return {
        text(entry) for statement in statements for name in (key, f"Not{key}") for entry in _listed(statement.get(name))
    }


_SIBLINGS = {"s3": "ListBucket", "kms": "ReEncryptFrom", "dynamodb": "Scan", "sqs": "PurgeQueue", "sts": "TagSession"}


def _instances(pattern: str) -> set[str]:
    """Return words that a pattern matches, and one that it almost matches."""
    words = {pattern.replace("*", filled).replace("?", "q") for filled in ("", "a/b")}
    service = pattern.partition(":")[0]
    if service in _SIBLINGS:
        words.add(f"{service}:{_SIBLINGS[service]}")
    return words | {f"{pattern.rstrip('*')}-beside"}


def _contexts(statements: Sequence[Mapping[str, Json]]) -> list[tuple[tuple[str, str], ...]]:
    values: dict[str, set[str | None]] = {}
    for statement in statements:
        for keys in statement.get("Condition", {}).values():
            for key, entries in keys.items():
                known = values.setdefault(key.lower(), {None, "other"})
                known |= {word for entry in _listed(entries) for word in _instances(_value(entry))}
    names = sorted(values)
    # A few values per key, so that the world stays small
    choices = [sorted(values[name], key=lambda word: (word is not None, word or ""))[:4] for name in names]
    return [
        tuple((name, word) for name, word in zip(names, chosen, strict=True) if word is not None)
        for chosen in itertools.islice(itertools.product(*choices), 12)
    ]


def widened(
    before: Sequence[Mapping[str, Json]], after: Sequence[Mapping[str, Json]], *, identity: bool
) -> Request | None:
    """Return a request that is now allowed but was not before; None if there is none in the small world."""
    came = [statement for statement in after if statement not in before]
    went = [statement for statement in before if statement not in after]
    kept = [statement for statement in after if statement in before]
    old, new = [_asked(statement) for statement in before], [_asked(statement) for statement in after]
    for request in questions([*came, *went], kept, identity=identity):
        if _decision(new, request, identity=identity) > _decision(old, request, identity=identity):
            return request
    return None
