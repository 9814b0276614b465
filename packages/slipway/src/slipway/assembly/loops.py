"""Unroll a template's loops (`Fn::ForEach`).

Docs: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Any

LOOP = "Fn::ForEach::"
"""Prefix of a loop's key, in place of the member that it creates."""

_FUNCTION = "Fn::"
_SECTIONS = ("Conditions", "Resources", "Outputs")


def unrolled(template: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a template with every loop over a fixed collection unrolled; other loops stay.

    Args:
        template: The template, with its loops.
    """
    if not any(str(key).startswith(LOOP) for section in _SECTIONS for key in _members(template.get(section))):
        return template
    parameters = _members(template.get("Parameters"))
    return {
        **template,
        **{
            section: unrolled_members(template[section], parameters)
            for section in _SECTIONS
            if isinstance(template.get(section), Mapping)
        },
    }


def unrolled_members(members: Mapping[str, Json], parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Return the members of an object, with its loops replaced by what they create.

    Args:
        members: The object.
        parameters: The template's parameters; a list parameter counts with its default.
    """
    return dict(_unrolled(members, parameters))


def loops(template: Mapping[str, Json]) -> dict[str, Json]:
    """Return the loops of a template that only the deployment can unroll, and the members that macros create.

    Args:
        template: A result of `unrolled`.
    """
    return {
        f"{section}.{key}": value
        for section in _SECTIONS
        for key, value in _members(template.get(section)).items()
        if str(key).startswith(_FUNCTION)
    }


def without_loops(members: Mapping[str, Json]) -> dict[str, Json]:
    """Return the members of an object that no loop and no macro (`Fn::Transform`) creates."""
    return {key: value for key, value in members.items() if not str(key).startswith(_FUNCTION)}


def _members(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _unrolled(members: Mapping[str, Json], parameters: Mapping[str, Json]) -> Iterator[tuple[str, Json]]:
    for key, value in members.items():
        match value:
            case [str(name), collection, dict(body)] if key.startswith(LOOP):
                words = _collection(collection, parameters)
                if words is None:
                    yield key, value
                    continue
                for word in words:
                    yield from _unrolled(_filled(body, name, word), parameters)
            case _:
                yield key, value


def _collection(value: Json, parameters: Mapping[str, Json]) -> list[str] | None:
    """Return a loop's values; None if they are only known at deployment."""
    match value:
        case list() if all(isinstance(word, str | int) for word in value):
            return list(map(str, value))
        case {"Ref": str(name)}:
            default = _members(parameters.get(name)).get("Default")
            return None if default is None else [word.strip() for word in str(default).split(",")]
    return None


def _filled(value: Json, name: str, word: str) -> Json:
    """Return a loop's body with a value in place of its variable; `&{…}` drops characters illegal in logical ids."""
    match value:
        case {"Ref": str(referred)} if referred == name and len(value) == 1:
            return word
        case str():
            return value.replace(f"${{{name}}}", word).replace(f"&{{{name}}}", re.sub(r"[^A-Za-z0-9]", "", word))
        case dict():
            return {_filled(key, name, word): _filled(inner, name, word) for key, inner in value.items()}
        case list():
            return [_filled(inner, name, word) for inner in value]
    return value
