"""Flatten a template's nested stacks into it, for readers that don't care how it is divided.

Each resource of a nested stack is put beside its parent's, under its own logical id; parameters become what the parent
passes, and outputs what they refer to. A nested stack whose template the assembly does not contain stays unchanged, and
readers see its type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from slipway.assembly.loops import unrolled
from slipway.assembly.nested import nested_stacks, short_id, template_file
from slipway.assembly.reader import StackEntry, read_template

Json = Any
Template = dict[str, Any]

_OUTPUTS = "Outputs."
_SUBSTITUTION = re.compile(r"\$\{([^!}][^}]*)\}")
_SECTIONS: Final = ("Parameters", "Mappings", "Conditions", "Resources")


def stack_template(stack: StackEntry) -> Template:
    """Return the template of a stack with its nested stacks in it.

    Args:
        stack: The stack.

    Raises:
        AssemblyError: A template is missing or damaged.
    """
    if not any(nested_stacks(stack.template)):
        return stack.template

    def read(resource: Mapping[str, Any]) -> Template | None:
        nested = template_file(resource, stack.folder, stack.assets.files)
        return None if nested is None else read_template(nested)

    return flat(stack.template, read)


def flat(template: Template, read: Callable[[Mapping[str, Any]], Template | None]) -> Template:
    """Return a template with its nested stacks in it.

    Args:
        template: The template.
        read: Gives the template of a nested stack's resource, or None.
    """
    result = {**template, "Resources": {**template.get("Resources", {})}}
    outputs: dict[str, Mapping[str, Json]] = {}
    members: dict[str, list[str]] = {}
    for logical_id in [*nested_stacks(template)]:
        resource = template["Resources"][logical_id]
        inner = read(resource)
        if inner is None:
            continue
        nested = _Nested(logical_id, resource, flat(dict(unrolled(inner)), read))
        del result["Resources"][logical_id]
        for section, entries in nested.sections():
            result[section] = {**result.get(section, {}), **entries}
        members[logical_id] = list(nested.resources)
        outputs[logical_id] = nested.outputs
    if not members:
        return template
    return _Outer(outputs, members).rewritten(result)


class _Nested:
    """A nested stack as its parent declares it."""

    def __init__(self, logical_id: str, resource: Mapping[str, Any], template: Template) -> None:
        self._prefix = short_id(logical_id)
        self._template = template
        self._condition = resource.get("Condition")
        self._after = resource.get("DependsOn")
        passed = (resource.get("Properties") or {}).get("Parameters")
        self._passed: Mapping[str, Json] = passed if isinstance(passed, Mapping) else {}
        self._own = {section: frozenset(template.get(section) or {}) for section in _SECTIONS}
        self._joined: dict[str, Json] = {}
        self.resources = {self._id(name): self._resource(body) for name, body in template["Resources"].items()}
        self.outputs = {
            name: self._value(output.get("Value")) for name, output in (template.get("Outputs") or {}).items()
        }

    def sections(self) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield what it adds to each section of its parent."""
        for section in ("Mappings", "Conditions"):
            entries = {self._id(name): self._value(body) for name, body in (self._template.get(section) or {}).items()}
            yield section, {**entries, **(self._joined if section == "Conditions" else {})}
        parameters = (self._template.get("Parameters") or {}).items()
        yield "Parameters", {self._id(name): body for name, body in parameters if name not in self._passed}
        yield "Resources", self.resources
        exported = {
            self._id(name): self._value(output)
            for name, output in (self._template.get("Outputs") or {}).items()
            if "Export" in output
        }
        yield "Outputs", exported

    def _id(self, name: str) -> str:
        return f"{self._prefix}{name}"

    def _resource(self, body: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self._value({key: value for key, value in body.items() if key not in _NAMING})
        if condition := self._both(body.get("Condition")):
            found["Condition"] = condition
        own = body.get("DependsOn") or []
        after = [*map(self._id, [own] if isinstance(own, str) else own), *_listed(self._after)]
        if after:
            found["DependsOn"] = after
        return found

    def _both(self, own: str | None) -> str | None:
        """Return the condition of a resource: its own, its stack's, or one that joins them."""
        if own is None or self._condition is None:
            return self._condition if own is None else self._id(own)
        name = f"{self._id(own)}And{self._condition}"
        self._joined[name] = {"Fn::And": [{"Condition": self._condition}, {"Condition": self._id(own)}]}
        return name

    def _value(self, value: Json) -> Json:
        match value:
            case {"Ref": str(name)} if len(value) == 1:
                return self._referred(name)
            case {"Condition": str(name)} if len(value) == 1 and name in self._own["Conditions"]:
                return {"Condition": self._id(name)}
            case {"Fn::GetAtt": str(text)}:
                return self._value({"Fn::GetAtt": text.split(".", 1)})
            case {"Fn::GetAtt": [str(name), *rest]} if name in self._own["Resources"]:
                return {"Fn::GetAtt": [self._id(name), *rest]}
            case {"Fn::If": [str(name), *sides]}:
                return {"Fn::If": [self._id(name), *map(self._value, sides)]}
            case {"Fn::FindInMap": [str(name), *keys]}:
                return {"Fn::FindInMap": [self._id(name), *map(self._value, keys)]}
            case {"Fn::Sub": str(text)}:
                return self._substituted(text, {})
            case {"Fn::Sub": [str(text), dict(variables)]}:
                return self._substituted(text, self._value(variables))
            case dict():
                return {key: self._value(inner) for key, inner in value.items()}
            case list():
                return [self._value(inner) for inner in value]
        return value

    def _referred(self, name: str) -> Json:
        if name in self._own["Parameters"]:
            return self._passed[name] if name in self._passed else {"Ref": self._id(name)}
        return {"Ref": self._id(name) if name in self._own["Resources"] else name}

    def _substituted(self, text: str, variables: Mapping[str, Json]) -> Json:
        taken = dict(variables)

        def written(found: re.Match[str]) -> str:
            name, dot, attribute = found[1].strip().partition(".")
            if name in variables:
                return found[0]
            if name in self._own["Parameters"] and name in self._passed:
                taken[name] = self._passed[name]
                return found[0]
            is_own = name in self._own["Resources"] or name in self._own["Parameters"]
            return f"${{{self._id(name) if is_own else name}{dot}{attribute}}}"

        filled = _SUBSTITUTION.sub(written, text)
        return {"Fn::Sub": [filled, taken]} if taken else {"Fn::Sub": filled}


_NAMING = frozenset({"Condition", "DependsOn"})
"""Attributes of a resource that hold names, not values."""


class _Outer:
    """A parent's references to nested stacks, mapped to the resources that were in them."""

    def __init__(self, outputs: Mapping[str, Mapping[str, Json]], members: Mapping[str, list[str]]) -> None:
        self._outputs = outputs
        self._members = members

    def rewritten(self, template: Template) -> Template:
        """Return the template with references to outputs replaced by their values."""
        found: Template = self._value(template)
        for resource in found["Resources"].values():
            if after := _listed(resource.get("DependsOn")):
                resource["DependsOn"] = [member for name in after for member in self._members.get(name, [name])]
        return found

    def _value(self, value: Json) -> Json:
        match value:
            case {"Fn::GetAtt": [str(name), str(attribute)]} if name in self._outputs:
                output = attribute.removeprefix(_OUTPUTS)
                return self._value(self._outputs[name].get(output, {"Ref": "AWS::NoValue"}))
            case {"Fn::GetAtt": str(text)} if text.partition(".")[0] in self._outputs:
                return self._value({"Fn::GetAtt": text.split(".", 1)})
            case {"Ref": str(name)} if name in self._outputs:
                return {"Ref": "AWS::StackId"}
            case {"Fn::Sub": str(text)}:
                return self._substituted(text, {})
            case {"Fn::Sub": [str(text), dict(variables)]}:
                return self._substituted(text, self._value(variables))
            case dict():
                return {key: self._value(inner) for key, inner in value.items()}
            case list():
                return [self._value(inner) for inner in value]
        return value

    def _substituted(self, text: str, variables: Mapping[str, Json]) -> Json:
        taken = dict(variables)

        def written(found: re.Match[str]) -> str:
            name, _, attribute = found[1].strip().partition(".")
            if name in variables or name not in self._outputs:
                return found[0]
            variable = re.sub(r"[^A-Za-z0-9]", "", found[1])
            taken[variable] = self._value({"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name})
            return f"${{{variable}}}"

        filled = _SUBSTITUTION.sub(written, text)
        return {"Fn::Sub": [filled, taken]} if taken else {"Fn::Sub": filled}


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [] if value is None else [value]
