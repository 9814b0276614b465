"""Read the templates of an assembly as plain data, with references followed from stack to stack."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.assembly.reader import read_stacks
from slipway.settings import Environment

Resource = dict[str, Any]
"""A resource in a template: Type, Properties, DependsOn, …"""

KEPT = {("Retain", "Retain"), ("RetainExceptOnCreate", "Retain")}
"""Deletion and replacement policies under which a resource outlives its template."""

# A reference in `Deployment.text`: <stack/LogicalId> or <stack/LogicalId.Attribute>.
_REFERENCE = re.compile(r"^<(?P<stack>[^/>]+)/(?P<id>[^.>]+)(\.(?P<attribute>[^>]+))?>$")


@dataclass(frozen=True)
class Template:
    """The template of one stack.

    Args:
        name: `security`, `data`, `compute`, `observability`, `foundation` or `pipeline`.
        raw: The JSON document.
        stack_name: The stack's name in CloudFormation.
        termination_protection: True if the assembly requires it.
        account: Account of the stack.
        region: Region of the stack.
    """

    name: str
    raw: Mapping[str, Any]
    stack_name: str
    termination_protection: bool
    account: str
    region: str

    @property
    def resources(self) -> Mapping[str, Resource]:
        """Every resource by its logical id."""
        return {key: value for key, value in self.raw["Resources"].items() if value["Type"] != "AWS::CDK::Metadata"}

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Return the outputs for people and tests, without CDK's own for weak references."""
        return {key: value for key, value in self.raw.get("Outputs", {}).items() if not key.startswith("PublishOutput")}

    def of_type(self, resource_type: str) -> Mapping[str, Resource]:
        """Return the resources of a type by their logical ids."""
        return {key: value for key, value in self.resources.items() if value["Type"] == resource_type}

    def properties_of(self, resource_type: str) -> list[dict[str, Any]]:
        """Return the properties of every resource of a type."""
        return [resource.get("Properties", {}) for resource in self.of_type(resource_type).values()]

    def only(self, resource_type: str, where: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Return the properties of the only resource of a type for which `where` holds."""
        found = [properties for properties in self.properties_of(resource_type) if where(properties)]
        assert len(found) == 1, f"{self.name}: {len(found)} of {resource_type}"
        return found[0]

    def text(self) -> str:
        """Return the template as JSON."""
        return json.dumps(self.raw, ensure_ascii=False)


class DeployedTemplates:
    """The stacks of one service and the foundation of one environment, with references followed across stacks."""

    def __init__(self, variant: str, environment: Environment, templates: Mapping[str, Template]) -> None:
        self.variant = variant
        self.environment = environment
        self.templates = templates
        self._by_stack_name = {template.stack_name: template for template in templates.values()}

    def __getitem__(self, stack: str) -> Template:
        return self.templates[stack]

    def __iter__(self) -> Iterator[Template]:
        return iter(self.templates.values())

    def text(self, stack: str, value: Any) -> str:
        """Return a value with references as `<stack/LogicalId.Attribute>`, the same in any stack."""
        match value:
            case str():
                return value
            case bool() | int() | float():
                return json.dumps(value)
            case {"Ref": str(name)}:
                return f"<{name}>" if name.startswith("AWS::") else f"<{stack}/{name}>"
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return f"<{stack}/{name}.{attribute}>"
            case {"Fn::Join": [str(delimiter), list(parts)]}:
                return delimiter.join(self.text(stack, part) for part in parts)
            case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(name)}}:
                template = self._by_stack_name[owner]
                return self.text(template.name, template.raw["Outputs"][name]["Value"])
            case {"Fn::Split": [str(delimiter), inner]}:
                return f"split({delimiter},{self.text(stack, inner)})"
            case {"Fn::Select": [index, inner]}:
                return f"select({index},{self.text(stack, inner)})"
        raise AssertionError(f"{self.variant}: {stack}: cannot follow {value!r}")

    def texts(self, stack: str, value: Any) -> set[str]:
        """Return `text` of one value or of each in a list."""
        return {self.text(stack, entry) for entry in (value if isinstance(value, list) else [value])}

    def output(self, name: str) -> str:
        """Return the value of an output, in whichever stack it is."""
        found = [(template.name, template.outputs[name]) for template in self if name in template.outputs]
        assert len(found) == 1, f"{self.variant}: {len(found)} outputs {name}"
        stack, entry = found[0]
        return self.text(stack, entry["Value"])

    def behind(self, reference: str) -> Resource:
        """Return the resource that a reference written by `text` or `output` points to."""
        match = _REFERENCE.match(reference)
        assert match, f"{reference} is not a reference"
        return self[match["stack"]].resources[match["id"]]

    def function(self, handler: str) -> dict[str, Any]:
        """Return the properties of the function with that handler, given without `services.<name>.runtime.`."""
        return self.functions()[handler]

    def functions(self) -> Mapping[str, dict[str, Any]]:
        """Return the properties of every function by handler, without `services.<name>.runtime.`."""
        return {
            _short(resource): resource["Properties"]
            for template in self
            for resource in template.of_type("AWS::Lambda::Function").values()
        }

    def place_of_function(self, handler: str) -> tuple[str, str]:
        """Return the stack and logical id of the function with that handler."""
        for template in self:
            for key, resource in template.of_type("AWS::Lambda::Function").items():
                if _short(resource) == handler:
                    return template.name, key
        raise AssertionError(f"{self.variant}: no function {handler}")

    def aliases(self, handler: str) -> Mapping[str, str]:
        """Return references to a function's aliases by their names."""
        stack, function = self.place_of_function(handler)
        return {
            resource["Properties"]["Name"]: f"<{stack}/{key}>"
            for key, resource in self[stack].of_type("AWS::Lambda::Alias").items()
            if resource["Properties"]["FunctionName"] == {"Ref": function}
        }

    def permissions(self, handler: str) -> Mapping[str, set[str]]:
        """Return the actions that a handler's role allows, and the resources of each."""
        stack, _ = self.place_of_function(handler)
        role = self.function(handler)["Role"]["Fn::GetAtt"][0]
        reached: dict[str, set[str]] = {}
        for policy in self[stack].properties_of("AWS::IAM::ManagedPolicy"):
            if {"Ref": role} in policy["Roles"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    for action in [actions] if isinstance(actions, str) else actions:
                        reached.setdefault(action, set()).update(self.texts(stack, statement["Resource"]))
        return reached

    def work(self, handler: str) -> Mapping[str, set[str]]:
        """Return `permissions` without what every function has: its log, its traces, the key of its variables."""
        return {
            action: resources
            for action, resources in self.permissions(handler).items()
            if not action.startswith(("logs:", "xray:")) and action != "kms:Decrypt"
        }

    def routes(self) -> Mapping[str, dict[str, Any]]:
        """Return the API's methods or routes by verb and path, without the preflights."""
        compute = self["compute"]
        http = {each["RouteKey"]: each for each in compute.properties_of("AWS::ApiGatewayV2::Route")}
        resources = compute.of_type("AWS::ApiGateway::Resource")

        def path(reference: Any) -> str:
            if "Ref" not in reference:
                return ""
            properties = resources[reference["Ref"]]["Properties"]
            return f"{path(properties['ParentId'])}/{properties['PathPart']}"

        return http | {
            f"{method['HttpMethod']} {path(method['ResourceId'])}": method
            for method in compute.properties_of("AWS::ApiGateway::Method")
            if method["HttpMethod"] != "OPTIONS"
        }


def _short(function: Resource) -> str:
    return str(function["Properties"]["Handler"]).partition(".runtime.")[2]


def read_templates(assembly: Path) -> Mapping[str, Template]:
    """Return every template of an assembly and of those nested in it, by the last word of the stack's name."""
    return {template.name: template for template in templates_of(assembly)}


def templates_of(assembly: Path) -> Iterator[Template]:
    """Yield every template of an assembly and of those nested in it."""
    for entry in read_stacks(assembly):
        account, region = entry.place
        yield Template(
            name=entry.name.rpartition("-")[2],
            raw=entry.template,
            stack_name=entry.name,
            termination_protection=entry.properties.get("terminationProtection", False),
            account=account,
            region=region,
        )
