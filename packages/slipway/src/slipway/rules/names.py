"""Rule on physical names: a fixed one blocks every replacement (docs/architecture.md, "Names")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.model import Found, Rule, Templates, data, text

_DATA: Mapping[str, Any] = data("names.json")
_ELSEWHERE: Mapping[str, str] = _DATA["elsewhere"]


def _named(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        for resource in stack.resources:
            kind = resource.type.rpartition("::")[2]
            paths = [_ELSEWHERE[resource.type]] if resource.type in _ELSEWHERE else [f"{kind}Name", "Name"]
            for path in paths:
                value = resource.get(*path.split("."))
                if value is not None and not _is_allowed(resource.type, text(value)):
                    yield Found(stack, resource.logical_id)


def _is_allowed(type_name: str, name: str) -> bool:
    return any(re.fullmatch(each["name"], name) for each in _DATA["allowed"] if re.fullmatch(each["type"], type_name))


RULES = (
    Rule(
        name="NoPhysicalName",
        says="A resource has a physical name that neither the requirements nor AWS demand.",
        fix="Remove the name, and find the resource through an output. An exception belongs in "
        "slipway/rules/data/names.json, with its reason.",
        check=_named,
    ),
)
