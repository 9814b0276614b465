"""Model of rules, and of templates with references followed across stacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway.settings.model import Stateful

# `${Name}` and `${Name.Attribute}`, and not `${!Literal}`.
_SUBSTITUTED = re.compile(r"\$\{([A-Za-z0-9]+)[.}]")

Value = Any
"""A value of a template: JSON, possibly with intrinsic functions in it."""


@dataclass(frozen=True, eq=False)
class Stack:
    """A stack: its environment and its template.

    Args:
        path: Path of its construct, such as `Pipeline/prod-<service>/Data`.
        name: Its name in CloudFormation, by which other stacks read its outputs.
        template: Path of its template.
        body: The template.
        account: The account that it is deployed to, according to the assembly.
        region: The region that it is deployed to, according to the assembly.
        stateful: Configured protection of data. Default: none.
        rate: Returns the configured invocations per second of a function of its service, by the function's key, or
            None. Default: none.
        environment: Name of the environment. Default: the stack belongs to none, as the pipeline's own.
        termination_protection: True if the assembly requires it; a nested stack has its parent's.
        parent: Path of the stack that it is nested in. Default: it is nested in none.
        parent_id: Its logical id there.
        outermost: Path of its outermost stack. Default: it is nested in none.
        loops: Loops that only the deployment can unroll, such as `Resources.Fn::ForEach::Queues`; the body contains
            none.
    """

    path: str
    name: str
    template: Path
    body: Mapping[str, Any]
    account: str
    region: str
    stateful: Stateful | None = None
    environment: str | None = None
    rate: Callable[[str], float | None] = field(default=lambda _: None, repr=False)
    termination_protection: bool = False
    parent: str | None = None
    parent_id: str = ""
    outermost: str = ""
    loops: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """Path of the outermost stack that it is in: its own, unless it is nested."""
        return self.outermost or self.path

    @property
    def resources(self) -> Iterator[Resource]:
        """Every resource, in the template's order."""
        return (Resource(self, key) for key in self.body.get("Resources", {}))

    def of_type(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of some types."""
        if len(types) == 1:
            return iter(self._by_type.get(types[0], ()))
        return (resource for resource in self.resources if resource.type in types)

    @cached_property
    def _by_type(self) -> Mapping[str, list[Resource]]:
        """Type → its resources, cached because rules need them repeatedly."""
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource.type, []).append(resource)
        return found


@dataclass(frozen=True)
class Resource:
    """One resource of a stack."""

    stack: Stack
    logical_id: str

    @property
    def body(self) -> Mapping[str, Any]:
        """The resource as the template has it."""
        body: Mapping[str, Any] = self.stack.body["Resources"][self.logical_id]
        return body

    @property
    def type(self) -> str:
        """Its CloudFormation type."""
        return str(self.body["Type"])

    def get(self, *path: str) -> Value:
        """Return the value of a property; None if it is not set."""
        value: Value = self.body.get("Properties", {})
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return None if value == {"Ref": "AWS::NoValue"} else value


@dataclass(frozen=True)
class Templates:
    """All the stacks that are judged together.

    Args:
        stacks: The stacks.
        runbooks: Names of the existing runbooks.
    """

    stacks: tuple[Stack, ...]
    runbooks: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def _by_name(self) -> Mapping[str, Stack]:
        return {stack.name: stack for stack in self.stacks}

    @cached_property
    def _by_path(self) -> Mapping[str, Stack]:
        return {stack.path: stack for stack in self.stacks}

    @cached_property
    def _nested(self) -> Mapping[tuple[str, str], Stack]:
        return {(stack.parent, stack.parent_id): stack for stack in self.stacks if stack.parent is not None}

    def nested(self, resource: Resource) -> Stack | None:
        """Return the stack of a nested stack's resource; None if the assembly does not contain its template.

        Args:
            resource: An `AWS::CloudFormation::Stack`.
        """
        return self._nested.get((resource.stack.path, resource.logical_id))

    @cached_property
    def _exports(self) -> Mapping[tuple[str, str, str], list[tuple[Stack, Value]]]:
        """Account, region and name of each export to the stack that has it and the value."""
        exports: dict[tuple[str, str, str], list[tuple[Stack, Value]]] = {}
        for stack in self.stacks:
            for output in stack.body.get("Outputs", {}).values():
                name = output.get("Export", {}).get("Name")
                if name is not None:
                    exports.setdefault((stack.account, stack.region, text(name)), []).append((stack, output["Value"]))
        return exports

    def of_type(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of some types, in every stack."""
        return (resource for stack in self.stacks for resource in stack.of_type(*types))

    def referred(self, stack: Stack, value: Value) -> Iterator[Resource]:
        """Yield the resources that a value refers to, including through outputs of other stacks."""
        match value:
            case {"Ref": str(name)}:
                yield from self._resource(stack, name)
                yield from self._passed(stack, name)
            case {"Fn::GetAtt": [str(name), *attribute]}:
                yield from self._resource(stack, name)
                yield from self._put_out(stack, name, attribute)
            case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(name)}}:
                other = self._by_name.get(owner)
                if other is not None:
                    yield from self.referred(other, other.body.get("Outputs", {}).get(name, {}).get("Value"))
            case {"Fn::Sub": str(template)}:
                yield from self.referred(stack, [{"Ref": name} for name in _SUBSTITUTED.findall(template)])
            case {"Fn::Sub": [str(template), given]}:
                yield from self.referred(stack, [{"Fn::Sub": template}, given])
            case {"Fn::ImportValue": name}:
                for exporter, exported in self._exports.get((stack.account, stack.region, text(name)), ()):
                    yield from self.referred(exporter, exported)
            case dict() | list():
                for inner in value.values() if isinstance(value, dict) else value:
                    yield from self.referred(stack, inner)

    def _passed(self, stack: Stack, parameter: str) -> Iterator[Resource]:
        """Yield what a parameter of a nested stack refers to in its parent."""
        parent = self._by_path.get(stack.parent) if stack.parent is not None else None
        if parent is not None and parameter in (stack.body.get("Parameters") or {}):
            passed = Resource(parent, stack.parent_id).get("Parameters", parameter)
            yield from self.referred(parent, passed)

    def _put_out(self, stack: Stack, name: str, attribute: list[Value]) -> Iterator[Resource]:
        """Yield what an output of a nested stack refers to within it."""
        nested = self._nested.get((stack.path, name))
        output = ".".join(map(str, attribute)).removeprefix("Outputs.")
        if nested is not None:
            yield from self.referred(nested, (nested.body.get("Outputs") or {}).get(output, {}).get("Value"))

    @staticmethod
    def _resource(stack: Stack, name: str) -> Iterator[Resource]:
        if name in stack.body.get("Resources", {}):
            yield Resource(stack, name)


@dataclass(frozen=True)
class Found:
    """One place where a rule is broken."""

    stack: Stack
    logical_id: str | None = None
    """The resource. Default: the whole stack."""
    finding: str | None = None
    """Part of a breach that is accepted separately, such as `Action::s3:Get*`."""


@dataclass(frozen=True)
class Rule:
    """One rule.

    Args:
        name: Its id without the pack's name.
        says: The error if it is broken.
        fix: How to fix it.
        check: Finds the places, in a fixed order.
    """

    name: str
    says: str
    fix: str
    check: Callable[[Templates], Iterable[Found]]


def listed(value: Value) -> list[Value]:
    """Return a policy value as a list, whether it is one value or several."""
    return value if isinstance(value, list) else [value]


def text(value: Value) -> str:
    """Return a value as text, with each reference as `<…>`."""
    match value:
        case str():
            return value
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return f"<{name}>"
        case {"Fn::Join": [str(delimiter), list(parts)]}:
            return delimiter.join(text(part) for part in parts)
        case {"Fn::Sub": str(template)}:
            return template.replace("${", "<").replace("}", ">")
        case {"Fn::GetStackOutput": {"OutputName": name}}:
            return f"<{name}>"
    return json.dumps(value, sort_keys=True)


def data(name: str) -> Any:
    """Return a list from `data/`."""
    return json.loads((Path(__file__).parent / "data" / name).read_text(encoding="utf-8"))
