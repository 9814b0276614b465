"""What a template's values are, as far as they are known before a deployment.

Parameters count with their defaults, conditions and mappings are evaluated, outputs of other stacks are followed. What
only the deployment knows becomes a *reference* inside the text: `<account>/<region>/<stack>/<logical id>.<attribute>`
between two private code points, the same from whichever stack. So two values are equal exactly when the deployment is
bound to make them equal.

Two things differ with every change of code and say nothing else, so they are written without what differs: digests of
assets, and references to what carries a hash in its logical id (`VERSIONED`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gates.review.assembly import Assembly, Json, Stack, StackKey
from gates.review.patterns import CLOSE, OPEN, REFERENCE

VERSIONED: Final[Mapping[str, str]] = {
    "AWS::Lambda::Version": "FunctionName",
    "AWS::ApiGateway::Deployment": "RestApiId",
}
"""Types of which CDK makes a new resource, with another logical id, whenever what they are a version of changes; and
the property that names what that is."""

ASSET = f"{OPEN}asset{CLOSE}"
"""Stands for the digest of an asset."""

VERSION_OF = "~"
"""At the end of a logical id in a reference: the newest version of that resource, whatever its own logical id."""

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
# CDK Pipelines puts a hash of each project into its action, so that a changed project restarts the pipeline.
_PROJECT_HASH = re.compile(r'("_PROJECT_CONFIG_HASH","type":"PLAINTEXT","value":")[0-9a-f]{64}')
_BUILD_SPECIFICATION = re.compile(r"buildspec-[0-9a-f]+-(?P<name>\w+)\.yaml")
# Where an asset goes: account, region, and a hash of the destination, which holds the asset's digest.
_DESTINATION = re.compile(r"(\d{12}-[a-z0-9-]+?)-[0-9a-f]{8}\b")
# References within what is opaque keep their place and lose their brackets.
_INNER_OPEN, _INNER_CLOSE = "\ue002", "\ue003"
_INNER = re.compile(f"{_INNER_OPEN}([^{_INNER_OPEN}{_INNER_CLOSE}]*){_INNER_CLOSE}")
_PLACE = re.compile(r"([^/{]+)/([^/]+)/([^/]+)/([^/.]+)\.(.+)")
_SUBSTITUTION = re.compile(r"\$\{([^!][^}]*)\}")
_PARTITIONS = (("us-gov-", "aws-us-gov", "amazonaws.com"), ("cn-", "aws-cn", "amazonaws.com.cn"))
_DEEPEST = 40


@dataclass(frozen=True)
class Reference:
    """A resource's attribute that only the deployment knows; `Ref` is the one that `{"Ref": …}` gives."""

    stack: StackKey
    logical_id: str
    attribute: str

    def __str__(self) -> str:
        place = f"{self.stack.account}/{self.stack.region}/{self.stack.name}/{self.logical_id}"
        return f"{OPEN}{place}.{self.attribute}{CLOSE}"


class _Gone:
    """`AWS::NoValue`."""


_GONE = _Gone()


def references(value: Json) -> Iterator[Reference]:
    """Every reference in a resolved value, those within opaque parts included."""
    for text in texts(value):
        if OPEN not in text:
            continue
        for found in REFERENCE.findall(text):
            for inside in (found, *_INNER.findall(found)):
                if place := _PLACE.fullmatch(inside):
                    yield Reference(StackKey(place[1], place[2], place[3]), place[4], place[5])


def texts(value: Json) -> Iterator[str]:
    """Every text in a value, keys included."""
    match value:
        case str():
            yield value
        case Mapping():
            for key, inner in value.items():
                yield key
                yield from texts(inner)
        case list():
            for inner in value:
                yield from texts(inner)


def readable(text: str) -> str:
    """A text with its references as people write them: `${Table.Arn}`."""

    def written(found: re.Match[str]) -> str:
        if not (place := _PLACE.fullmatch(found[1])):
            return found[1] if found[1].startswith("{") else f"${{{found[1]}}}"
        name = place[4].rstrip(VERSION_OF)
        return f"${{{name}}}" if place[5] == "Ref" else f"${{{name}.{place[5]}}}"

    while _INNER.search(text):
        text = _INNER.sub(written, text)
    return REFERENCE.sub(written, text)


class Values:
    """The values of an assembly, each stack's resolved in its own place.

    Args:
        assembly: whose values.
    """

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self._resolvers: dict[StackKey, Resolver] = {}
        self._outputs: dict[tuple[StackKey, str], Json] = {}

    def of(self, stack: Stack) -> Resolver:
        """What resolves the values of a stack."""
        if stack.key not in self._resolvers:
            self._resolvers[stack.key] = Resolver(self, stack)
        return self._resolvers[stack.key]

    def output(self, key: StackKey, name: str) -> Json:
        """What a stack puts out; a reference where this assembly does not know the stack or the output."""
        if (key, name) not in self._outputs:
            # Stands while it is followed, so that outputs in a circle end.
            self._outputs[key, name] = f"{OPEN}output {name} of {key.name}{CLOSE}"
            producer = self.assembly.by_key.get(key)
            output = producer.template.get("Outputs", {}).get(name) if producer else None
            if producer is not None and isinstance(output, dict) and "Value" in output:
                self._outputs[key, name] = self.of(producer).resolve(output["Value"])
        return self._outputs[key, name]


class Resolver:
    """Resolves the values of one stack.

    Args:
        values: those of the assembly, through which other stacks' outputs are followed.
        stack: whose values.
    """

    def __init__(self, values: Values, stack: Stack) -> None:
        self._values = values
        self._assembly = values.assembly
        self._stack = stack
        self._conditions: dict[str, bool | None] = {}
        region = stack.key.region
        partition, suffix = next(
            ((name, host) for prefix, name, host in _PARTITIONS if region.startswith(prefix)), ("aws", "amazonaws.com")
        )
        self._pseudo = {
            "AWS::AccountId": stack.key.account,
            "AWS::Region": region,
            "AWS::Partition": partition,
            "AWS::URLSuffix": suffix,
            "AWS::StackName": stack.key.name,
        }

    @property
    def assets(self) -> frozenset[str]:
        """Digests of everything that the assembly publishes."""
        return self._assembly.assets

    def resolve(self, value: Json) -> Json:
        """The value, with intrinsic functions evaluated as far as they are constant.

        A member that is `AWS::NoValue` is left out.
        """
        found = self._value(value)
        return None if found is _GONE else found

    def exists(self, resource: Mapping[str, Json]) -> bool:
        """Whether a resource is deployed: its condition is not known to be false."""
        condition = resource.get("Condition")
        return not isinstance(condition, str) or self._condition(condition) is not False

    def _value(self, value: Json) -> Json:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [found for inner in value if (found := self._value(inner)) is not _GONE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" and isinstance(argument, str):
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        return {key: found for key, inner in value.items() if (found := self._value(inner)) is not _GONE}

    def _text(self, text: str) -> str:
        if len(text) < len("buildspec-"):
            return text
        if named := _BUILD_SPECIFICATION.fullmatch(text):
            content = self._assembly.build_specifications.get(text)
            if content is not None:
                return f"{named['name']}: " + _DESTINATION.sub(r"\1", self._without_digests(content))
        if "_PROJECT_CONFIG_HASH" in text:
            text = _PROJECT_HASH.sub(r"\1", text)
        return self._without_digests(text)

    def _without_digests(self, text: str) -> str:
        if len(text) < 64:
            return text
        assets = self._assembly.assets
        return _DIGEST.sub(lambda found: ASSET if found[0] in assets else found[0], text)

    def _ref(self, name: str) -> Json:
        if name == "AWS::NoValue":
            return _GONE
        if name in self._pseudo:
            return self._pseudo[name]
        parameter = self._stack.template.get("Parameters", {}).get(name)
        if isinstance(parameter, dict) and name not in self._stack.resources:
            return self._parameter(name, parameter)
        return str(self._reference(name, "Ref"))

    def _parameter(self, name: str, parameter: Mapping[str, Json]) -> Json:
        kind, default = str(parameter.get("Type", "String")), parameter.get("Default")
        if kind.startswith("AWS::SSM::Parameter::"):
            return f"{OPEN}parameter {default}{CLOSE}"
        if default is None:
            return f"{OPEN}parameter {name}{CLOSE}"
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [part.strip() for part in str(default).split(",")]
        return default

    def _reference(self, logical_id: str, attribute: str) -> Reference:
        resource = self._stack.resources.get(logical_id)
        if resource is not None and (of := VERSIONED.get(resource["Type"])):
            versioned = resource.get("Properties", {}).get(of)
            if isinstance(versioned, dict) and isinstance(versioned.get("Ref"), str):
                return Reference(self._stack.key, f"{versioned['Ref']}{VERSION_OF}", attribute)
        return Reference(self._stack.key, logical_id, attribute)

    def _function(self, name: str, argument: Json) -> Json:
        match name, argument:
            case "Fn::GetAtt", [str(logical_id), str(attribute)]:
                return str(self._reference(logical_id, attribute))
            case "Fn::GetAtt", str(text) if "." in text:
                logical_id, _, attribute = text.partition(".")
                return str(self._reference(logical_id, attribute))
            case "Fn::If", [str(condition), one, other]:
                return self._either(condition, one, other)
            case "Fn::Sub", str(text):
                return self._substitute(text, {})
            case "Fn::Sub", [str(text), dict(variables)]:
                return self._substitute(text, variables)
            case "Fn::FindInMap", [table, first, second]:
                return self._find(table, first, second)
            case "Fn::GetStackOutput", {"StackName": str(stack), "OutputName": str(output), **rest}:
                region = self._value(rest.get("Region", self._stack.key.region))
                return self._values.output(StackKey(self._stack.key.account, str(region), stack), output)
            case "Fn::ImportValue", export:
                return self._import(self._value(export))
            case (("Fn::Join" | "Fn::Split" | "Fn::Select" | "Fn::Base64"), _):
                return self._textual(name, self._value(argument))
        return self._opaque(name, self._value(argument))

    def _textual(self, name: str, argument: Json) -> Json:
        match name, argument:
            case "Fn::Join", [str(delimiter), list(parts)] if all(_is_scalar(part) for part in parts):
                return delimiter.join(map(_scalar, parts))
            case "Fn::Split", [str(delimiter), str(text)] if OPEN not in text:
                return text.split(delimiter)
            case "Fn::Select", [index, list(parts)] if str(index).isdigit() and int(index) < len(parts):
                return parts[int(index)]
            case "Fn::Base64", str(text):
                return text
        return self._opaque(name, argument)

    def _either(self, condition: str, one: Json, other: Json) -> Json:
        holds = self._condition(condition)
        if holds is not None:
            return self._value(one if holds else other)
        sides = [found for side in (one, other) if (found := self._value(side)) is not _GONE]
        return sides[0] if len(sides) == 2 and sides[0] == sides[1] else self._opaque("Fn::If", [condition, *sides])

    def _substitute(self, text: str, variables: Mapping[str, Json]) -> Json:
        def replace(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in variables:
                value = self._value(variables[name])
            elif "." in name and not name.startswith("AWS::"):
                value = str(self._reference(*name.split(".", 1)))
            else:
                value = self._ref(name)
            return _scalar(value) if _is_scalar(value) else str(self._opaque("Fn::Sub", value))

        # `${!Name}` is the text `${Name}`.
        return self._without_digests(_SUBSTITUTION.sub(replace, text).replace("${!", "${"))

    def _find(self, table: Json, first: Json, second: Json) -> Json:
        keys = [self._value(part) for part in (table, first, second)]
        found: Json = self._stack.template.get("Mappings", {})
        for key in keys:
            found = found.get(key) if isinstance(found, dict) and isinstance(key, str) else None
        return self._opaque("Fn::FindInMap", keys) if found is None else found

    def _import(self, export: Json) -> Json:
        place = (self._stack.key.account, self._stack.key.region)
        for stack in self._assembly.stacks:
            if (stack.key.account, stack.key.region) != place:
                continue
            for name, output in stack.template.get("Outputs", {}).items():
                exported = output.get("Export", {}).get("Name") if isinstance(output, dict) else None
                if isinstance(exported, str) and exported == export:
                    return self._values.output(stack.key, name)
        return self._opaque("Fn::ImportValue", export)

    def _condition(self, name: str, depth: int = 0) -> bool | None:
        """Whether a condition holds; None where only the deployment knows."""
        if name not in self._conditions:
            self._conditions[name] = None
            expression = self._stack.template.get("Conditions", {}).get(name)
            self._conditions[name] = self._holds(expression, depth + 1)
        return self._conditions[name]

    def _holds(self, expression: Json, depth: int) -> bool | None:
        if depth > _DEEPEST:
            return None
        match expression:
            case {"Condition": str(name)}:
                return self._condition(name, depth)
            case {"Fn::Not": [inner]}:
                holds = self._holds(inner, depth + 1)
                return None if holds is None else not holds
            case {"Fn::And": list(inner)}:
                return _all([self._holds(each, depth + 1) for each in inner])
            case {"Fn::Or": list(inner)}:
                holds = _all([None if (each := self._holds(one, depth + 1)) is None else not each for one in inner])
                return None if holds is None else not holds
            case {"Fn::Equals": [one, other]}:
                left, right = self._value(one), self._value(other)
                if left == right:
                    return True
                known = not any(OPEN in text for text in (*texts(left), *texts(right)))
                return False if known else None
        return None

    def _opaque(self, name: str, argument: Json) -> str:
        """Something that cannot be known, as one symbol that is equal to itself alone."""
        text = json.dumps({name: argument}, sort_keys=True, ensure_ascii=False, default=str)
        return OPEN + text.replace(OPEN, _INNER_OPEN).replace(CLOSE, _INNER_CLOSE) + CLOSE


def _all(known: Sequence[bool | None]) -> bool | None:
    if False in known:
        return False
    return None if None in known else True


def _is_scalar(value: Json) -> bool:
    return isinstance(value, str | int | float)


def _scalar(value: Json) -> str:
    """A scalar as CloudFormation writes it into a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
