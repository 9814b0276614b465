"""The stacks of a cloud assembly, and the values in their templates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from slipway.assembly.flat import stack_template
from slipway.assembly.reader import AssemblyError, read_manifests
from slipway.cost.errors import CostError

PIPELINE = "pipeline"
"""Environment name for stacks without one: those at the root of the assembly."""

Value = Any
"""A value of a template: JSON, possibly with intrinsic functions in it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PricedStack:
    """A stack, its environment and service, and its template.

    Args:
        name: Its physical name.
        environment: The environment it is deployed to, or `PIPELINE`.
        service: The service that it belongs to; the stack's own name at the root of the assembly.
        region: Region it is deployed to.
        template: The template, as CloudFormation receives it.
    """

    name: str
    environment: str
    service: str
    region: str
    template: Mapping[str, Any]

    @property
    def resources(self) -> Iterator[PricedResource]:
        """Every resource of the template, in its order."""
        for logical_id in self.template.get("Resources", {}):
            yield PricedResource(self, logical_id)

    def is_gone(self, value: Value) -> bool:
        """Return True if a property's value means that it is not set."""
        return value is None or value == {"Ref": "AWS::NoValue"}

    def number(self, value: Value, place: str) -> Decimal:
        """Return a number in the template, resolving intrinsic functions that are known before a deployment.

        A parameter counts with its default, and `Fn::If` with its more expensive branch, so that an estimate is never
        too low.

        Args:
            value: The value in the template.
            place: The resource and property, for the message.

        Raises:
            CostError: The value is known only at the deployment, or is not a number.
        """
        match value:
            case bool():
                pass
            case int() | float() | str():
                try:
                    return Decimal(str(value))
                except InvalidOperation:
                    pass
            case {"Ref": "AWS::NoValue"}:
                return Decimal(0)
            case {"Ref": str(name)} if "Default" in self.template.get("Parameters", {}).get(name, {}):
                return self.number(self.template["Parameters"][name]["Default"], place)
            case {"Fn::If": [_, one, other]}:
                return max(self.number(one, place), self.number(other, place))
            case {"Fn::FindInMap": [str(name), *keys]} if len(keys) == 2:
                found: Value = self.template.get("Mappings", {}).get(name, {})
                for key in keys:
                    plain = self.region if key == {"Ref": "AWS::Region"} else key
                    found = found.get(plain) if isinstance(found, dict) and isinstance(plain, str) else None
                if found is not None:
                    return self.number(found, place)
        raise CostError(f"{self.name}: {place} is {json.dumps(value)}, not a number that is known before a deployment")


@dataclass(frozen=True)
class PricedResource:
    """One resource of a stack."""

    stack: PricedStack
    logical_id: str

    @property
    def body(self) -> Mapping[str, Any]:
        """The resource as the template has it."""
        body: Mapping[str, Any] = self.stack.template["Resources"][self.logical_id]
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
        return None if self.stack.is_gone(value) else value

    def list(self, *path: str) -> list[Value]:
        """Return a list property; an empty list if it is not set.

        Raises:
            CostError: Its content is known only at the deployment.
        """
        value = self.get(*path)
        if value is not None and not isinstance(value, list):
            raise self.error(f"{'.'.join(path)} is {json.dumps(value)}, not a list that is known before a deployment")
        return value or []

    def number(self, *path: str, default: Decimal | int | None = None) -> Decimal:
        """Return the number in a property.

        Args:
            path: The property.
            default: AWS's default for the property. Default: the property must be set.

        Raises:
            CostError: It is known only at the deployment, or is missing without a default.
        """
        value = self.get(*path)
        if value is None and default is not None:
            return Decimal(default)
        return self.stack.number(value, f"{self.logical_id}.{'.'.join(path)}")

    def error(self, message: str) -> CostError:
        """Return an error that names this resource."""
        return CostError(f"{self.stack.name}: {self.logical_id} ({self.type}): {message}")


def read_assembly(folder: Path) -> list[PricedStack]:
    """Return every stack in the manifests of an assembly and of those nested in it.

    Args:
        folder: The assembly, `cdk.out`.

    Raises:
        CostError: There is no assembly, or it cannot be read.
    """
    try:
        stacks = list(_read(folder))
    except AssemblyError as error:
        raise CostError(str(error)) from None
    if not stacks:
        raise CostError(f"no stack in {folder}: run `make synth`")
    return stacks


def _read(folder: Path) -> Iterator[PricedStack]:
    for path, manifest in read_manifests(folder):
        # The id of a stage is `<environment>-<service>`, under the pipeline's stack.
        environment, _, service = path.rpartition("/")[2].partition("-")
        for entry in manifest.stacks():
            # The cost of nested stacks counts as the stack's.
            template = stack_template(entry)
            yield PricedStack(
                name=entry.name,
                # Tags are exact even if the environment's name contains a dash.
                environment=_tag(template, "Environment") or environment if path else PIPELINE,
                service=_tag(template, "Service") or service or environment if path else entry.name,
                region=entry.place[1],
                template=template,
            )


def _tag(template: Mapping[str, Any], key: str) -> str | None:
    for resource in template.get("Resources", {}).values():
        tags = resource.get("Properties", {}).get("Tags")
        for tag in tags if isinstance(tags, list) else ():
            if tag.get("Key") == key and isinstance(tag.get("Value"), str):
                return str(tag["Value"])
    return None


def references(value: Value) -> Iterator[str]:
    """Yield the logical ids that a template's value refers to, in the same template."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(name)}:
            yield name.partition(".")[0]
        case dict():
            for inner in value.values():
                yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


def stack_outputs(value: Value) -> Iterator[tuple[str, str]]:
    """Yield the stack name and output of every weak reference to another stack in a value."""
    match value:
        case {"Fn::GetStackOutput": {"StackName": str(stack), "OutputName": str(output)}}:
            yield stack, output
        case dict():
            for inner in value.values():
                yield from stack_outputs(inner)
        case list():
            for inner in value:
                yield from stack_outputs(inner)
