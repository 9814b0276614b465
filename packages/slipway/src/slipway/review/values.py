"""Resolve a template's values, as far as they are known before a deployment.

Parameters have their defaults, those of a nested stack the values that its parent passes; conditions and mappings are
evaluated, and outputs of other stacks are followed. A value that only the deployment knows becomes a *reference* inside
the text: `<account>/<region>/<stack>/<logical id>.<attribute>` between two private code points, whichever stack it is
read from. So two values are equal exactly if every deployment makes them equal.

If a condition or a mapping depends on such a reference, the deployment makes a *choice*. A *world* is an assumed set of
choices (`worlds.py`); different conditions hold in different worlds.

Two things differ with every change of code without further meaning, so their changing part is omitted: digests of
assets, and references to resources with a hash in their logical id (`VERSIONED`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from slipway.assembly.loops import LOOP, unrolled_members
from slipway.review.assembly import Assembly, Json, ReviewedStack, StackKey
from slipway.review.patterns import CLOSE, OPEN, REFERENCE

VERSIONED: Final[Mapping[str, str]] = {
    "AWS::Lambda::Version": "FunctionName",
    "AWS::ApiGateway::Deployment": "RestApiId",
}
"""Types of which CDK creates a new resource, with a new logical id, whenever their subject changes, with the property
that names the subject."""

ASSET = f"{OPEN}asset{CLOSE}"
"""Placeholder for the digest of an asset."""

OUTPUTS = "Outputs."
"""Prefix of a nested stack's attributes, before the name of an output."""

VERSION_OF = "~"
"""Suffix of a logical id in a reference: the newest version of that resource, whatever its own logical id."""

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
# CDK Pipelines puts a hash of each project into its action, so that a changed project restarts the pipeline.
_PROJECT_HASH = re.compile(r'("_PROJECT_CONFIG_HASH","type":"PLAINTEXT","value":")[0-9a-f]{64}')
_BUILD_SPECIFICATION = re.compile(r"buildspec-[0-9a-f]+-(?P<name>\w+)\.yaml")
# An asset's destination: account, region, and a hash of the destination, which contains the asset's digest.
_DESTINATION = re.compile(r"(:(?:\d{12}|current_account)-[a-z0-9_-]+?)-[0-9a-f]{8}\b")
_PUBLISHED = "cdk-assets "
# References within opaque parts keep their place but lose their brackets.
_INNER_OPEN, _INNER_CLOSE = "\ue002", "\ue003"
_INNER = re.compile(f"{_INNER_OPEN}([^{_INNER_OPEN}{_INNER_CLOSE}]*){_INNER_CLOSE}")
_PLACE = re.compile(r"([^/{ ]+)/([^/]+)/([^/]+)/([^/.]+)\.(.+)")
# A stack's by its name; Parameter Store's, by its path.
_PARAMETER = re.compile(r"parameter [^/]+/[^/:]+(?:/[^/]+/(?P<name>[^/]+)|:(?P<path>.+))")
# Functions that only compose text: their result is as known as their arguments.
_TEXTUAL = frozenset({"Fn::Base64", "Fn::Join", "Fn::Length", "Fn::Select", "Fn::Split", "Fn::Sub", "Fn::ToJsonString"})
_FUNCTION = re.compile(r'\{"(?P<name>Fn::[^"]+|Ref)"')
_DYNAMIC = re.compile(r"\{\{resolve:[^}]*\}\}")
_SUBSTITUTION = re.compile(r"\$\{([^!][^}]*)\}")
_PARTITIONS = (("us-gov-", "aws-us-gov", "amazonaws.com"), ("cn-", "aws-cn", "amazonaws.com.cn"))
_WITH_LOOPS = "AWS::LanguageExtensions"
_DEEPEST = 40


@dataclass(frozen=True)
class Reference:
    """A resource's attribute that only the deployment knows; `Ref` is the value of `{"Ref": …}`."""

    stack: StackKey
    logical_id: str
    attribute: str

    def __str__(self) -> str:
        place = f"{self.stack.account}/{self.stack.region}/{self.stack.name}/{self.logical_id}"
        return f"{OPEN}{place}.{self.attribute}{CLOSE}"


_NO_VALUE = "AWS::NoValue"


class _Gone:
    """`AWS::NoValue`."""


_GONE = _Gone()


def references(value: Json) -> Iterator[Reference]:
    """Yield every reference in a resolved value, including those in opaque parts."""
    for text in texts(value):
        if OPEN not in text:
            continue
        for found in REFERENCE.findall(text):
            for inside in (found, *_INNER.findall(found)):
                if place := _PLACE.fullmatch(inside):
                    yield Reference(StackKey(place[1], place[2], place[3]), place[4], place[5])


def texts(value: Json) -> Iterator[str]:
    """Yield every text in a value, keys included."""
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


def unknowns(value: Json) -> Iterator[str]:
    """Yield the parts of a resolved value that neither the assembly nor its own resources determine, for people.

    These are a parameter without a value, an import from elsewhere, a dynamic reference, a macro, or a function of
    those.
    """
    for text in texts(value):
        # A secret in the assembly is as known as its name.
        yield from (dynamic for dynamic in _DYNAMIC.findall(text) if OPEN not in dynamic)
        if OPEN not in text:
            continue
        for found in REFERENCE.findall(text):
            for inside in (found, *_INNER.findall(found)):
                function = _FUNCTION.match(inside)
                is_named = inside == ASSET[1:-1] or _PLACE.fullmatch(inside) is not None
                if not (function["name"] in _TEXTUAL if function else is_named):
                    yield readable(f"{OPEN}{inside}{CLOSE}")


def readable(text: str) -> str:
    """Return a text with its references in the usual notation: `${Table.Arn}`."""

    def written(found: re.Match[str]) -> str:
        if parameter := _PARAMETER.fullmatch(found[1]):
            return f"${{{parameter['name'] or parameter['path']}}}"
        if not (place := _PLACE.fullmatch(found[1])):
            return found[1] if found[1].startswith("{") else f"${{{found[1]}}}"
        name = place[4].rstrip(VERSION_OF)
        return f"${{{name}}}" if place[5] == "Ref" else f"${{{name}.{place[5]}}}"

    while _INNER.search(text):
        text = _INNER.sub(written, text)
    return REFERENCE.sub(written, text)


@dataclass(frozen=True)
class Choice:
    """A decision of the deployment that conditions or mappings depend on.

    Args:
        symbol: Its subject: a reference, or a comparison of two unknown values.
        options: The values that it is compared with; for a comparison, whether it holds.
        otherwise: True if it may have another value.
        allowed: Allowed values of a parameter; None if its template lists none.
    """

    symbol: str
    options: frozenset[str]
    otherwise: bool
    allowed: frozenset[str] | None = None

    def __or__(self, other: Choice) -> Choice:
        allowed = None if self.allowed is None or other.allowed is None else self.allowed | other.allowed
        return Choice(self.symbol, self.options | other.options, self.otherwise or other.otherwise, allowed)

    @property
    def outcomes(self) -> tuple[str | None, ...]:
        """Return its possible values, in a fixed order; None stands for any value that it is not compared with."""
        options = self.options if self.allowed is None else self.options & self.allowed
        otherwise = self.otherwise and (self.allowed is None or bool(self.allowed - options))
        return (*sorted(options), *((None,) if otherwise or not options else ()))


World = Mapping[str, str | None]
"""The value of each choice, by its symbol; None for any value that it is not compared with."""

HOLDS, FAILS = "true", "false"
"""Options of a comparison."""


class Values:
    """The values of an assembly, each stack's resolved in its own context.

    Args:
        assembly: The assembly.
        world: The assumed choices. Default: none, so values that depend on one remain symbols.
    """

    def __init__(self, assembly: Assembly, world: World | None = None) -> None:
        self.assembly = assembly
        self.choices: dict[str, Choice] = {}
        """Every choice that was needed."""
        self._world: World = world or {}
        self._allowed: dict[str, frozenset[str]] = {}
        self._resolvers: dict[StackKey, Resolver] = {}
        self._outputs: dict[tuple[StackKey, str], Json] = {}
        self._exports: dict[tuple[str, str, str], tuple[StackKey, str]] | None = None

    def of(self, stack: ReviewedStack) -> Resolver:
        """Return the resolver of a stack."""
        if stack.key not in self._resolvers:
            self._resolvers[stack.key] = Resolver(self, stack)
        return self._resolvers[stack.key]

    def output(self, key: StackKey, name: str) -> Json:
        """Return an output of a stack; a reference if this assembly lacks the stack or the output."""
        if (key, name) not in self._outputs:
            # Placeholder while it is being followed, so that circular outputs end.
            self._outputs[key, name] = f"{OPEN}output {name} of {key.name}{CLOSE}"
            producer = self.assembly.by_key.get(key)
            output = producer.template.get("Outputs", {}).get(name) if producer else None
            if producer is not None and isinstance(output, dict) and "Value" in output:
                self._outputs[key, name] = self.of(producer).resolve(output["Value"])
        return self._outputs[key, name]

    def exists(self, stack: ReviewedStack) -> bool:
        """Return True if a stack is deployed: no condition of it or of its parents is known to be false."""
        return all(
            self.of(parent).exists(parent.resources[nested.parent_id])
            for nested, parent in pairwise(self.assembly.lineage(stack))
        )

    def exported(self, place: StackKey, name: Json) -> Json:
        """Return an export of an account and region; a reference if this assembly doesn't export it."""
        if self._exports is None:
            self._exports = {}
            for stack in self.assembly.stacks:
                for output, content in (stack.template.get("Outputs") or {}).items():
                    export = content.get("Export") if isinstance(content, dict) else None
                    if isinstance(export, dict):
                        named = self.of(stack).resolve(export.get("Name"))
                        self._exports[stack.key.account, stack.key.region, str(named)] = (stack.key, output)
        found = self._exports.get((place.account, place.region, str(name)))
        return None if found is None else self.output(*found)

    def allow(self, symbol: str, allowed: frozenset[str]) -> None:
        """Store the allowed values of a parameter."""
        self._allowed[symbol] = allowed

    def equal(self, one: Json, other: Json) -> bool | None:
        """Return True if two values, one of them unknown, are assumed to be equal; None if that is undecided."""
        for symbol, constant in ((one, other), (other, one)):
            if _is_symbol(symbol) and _is_scalar(constant) and OPEN not in str(constant):
                chosen, is_made = self.choose(symbol, {_scalar(constant)}, otherwise=True)
                return chosen == _scalar(constant) if is_made else None
        sides = sorted(json.dumps(side, sort_keys=True, ensure_ascii=False, default=str) for side in (one, other))
        chosen, is_made = self.choose(" = ".join(sides), {HOLDS, FAILS}, otherwise=False)
        return chosen == HOLDS if is_made else None

    def choose(self, symbol: str, options: Iterable[str], *, otherwise: bool) -> tuple[str | None, bool]:
        """Return the world's choice, and whether there is one.

        Args:
            symbol: Its subject.
            options: The values that it is compared with.
            otherwise: True if it may have another value.
        """
        choice = Choice(symbol, frozenset(options), otherwise, self._allowed.get(symbol))
        known = self.choices.get(symbol)
        self.choices[symbol] = choice if known is None else known | choice
        return self._world.get(symbol), symbol in self._world


class Resolver:
    """Resolves the values of one stack.

    Args:
        values: Values of the assembly, for other stacks' outputs.
        stack: The stack.
    """

    def __init__(self, values: Values, stack: ReviewedStack) -> None:
        self._values = values
        self._assembly = values.assembly
        self._stack = stack
        self._conditions: dict[str, bool | None] = {}
        self._place = (stack.key.account, stack.key.region, stack.key.name)
        self._passed: dict[str, Json] | None = None
        # Without this transform CloudFormation has no loops, and searching for them takes time.
        self._has_loops = _WITH_LOOPS in json.dumps(stack.template.get("Transform"))
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
        """Return the value with intrinsic functions evaluated as far as they are constant.

        A member that is `AWS::NoValue` is left out.
        """
        found = self._value(value)
        return None if found is _GONE else found

    def exists(self, resource: Mapping[str, Json]) -> bool:
        """Return True if a resource is deployed: its condition is not known to be false."""
        condition = resource.get("Condition")
        return not isinstance(condition, str) or self._condition(condition) is not False

    def ask(self) -> None:
        """Evaluate every condition and every mapping that the stack uses, so that their choices are known."""
        conditions = self._stack.template.get("Conditions") or {}
        mappings = self._stack.template.get("Mappings")
        if not conditions and not mappings:
            return
        for section in ("Resources", "Outputs"):
            for member in (self._stack.template.get(section) or {}).values():
                self._ask(member, frozenset(conditions))
                if isinstance(member, dict) and member.get("Condition") in conditions:
                    self._condition(member["Condition"])

    def _ask(self, value: Json, conditions: frozenset[str]) -> None:
        match value:
            case {"Fn::If": [str(condition), *_]} if condition in conditions:
                self._condition(condition)
            case {"Fn::FindInMap": [*_]}:
                self.resolve(value)
        if isinstance(value, dict):
            for inner in value.values():
                self._ask(inner, conditions)
        elif isinstance(value, list):
            for inner in value:
                self._ask(inner, conditions)

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
            if name.startswith("Fn::") and not name.startswith(LOOP):
                return self._function(name, argument)
        if self._has_loops and any(str(key).startswith(LOOP) for key in value):
            unrolled = unrolled_members(value, self._stack.template.get("Parameters") or {})
            value = {
                key: self._opaque(key, inner) if key.startswith(LOOP) else inner for key, inner in unrolled.items()
            }
        return {key: found for key, inner in value.items() if (found := self._value(inner)) is not _GONE}

    def _text(self, text: str) -> str:
        if len(text) < len("buildspec-"):
            return text
        if named := _BUILD_SPECIFICATION.fullmatch(text):
            content = self._assembly.build_specifications.get(text)
            if content is not None:
                return f"{named['name']}: " + _DESTINATION.sub(r"\1", self._without_digests(content))
        if _PUBLISHED in text:
            # CDK Pipelines writes these commands into the project itself, unless one project publishes all assets.
            text = _DESTINATION.sub(r"\1", text)
        if "_PROJECT_CONFIG_HASH" in text:
            text = _PROJECT_HASH.sub(r"\1", text)
        return self._without_digests(text)

    def _without_digests(self, text: str) -> str:
        if len(text) < 64:
            return text
        assets = self._assembly.assets
        return _DIGEST.sub(lambda found: ASSET if found[0] in assets else found[0], text)

    def _ref(self, name: str) -> Json:
        if name == _NO_VALUE:
            return _GONE
        if name in self._pseudo:
            return self._pseudo[name]
        parameter = self._stack.template.get("Parameters", {}).get(name)
        if isinstance(parameter, dict) and name not in self._stack.resources:
            return self._parameter(name, parameter)
        return str(self._reference(name, "Ref"))

    def _parameter(self, name: str, parameter: Mapping[str, Json]) -> Json:
        kind, given = str(parameter.get("Type", "String")), parameter.get("Default")
        if self._stack.parent is not None:
            given = self._from_parent(name, given)
        if isinstance(given, str) and OPEN in given:
            return given
        account, region, name_of_stack = self._place
        if kind.startswith("AWS::SSM::Parameter::") and given is not None:
            return self._symbol(f"parameter {account}/{region}:{given}", {})
        if given is None:
            return self._symbol(f"parameter {account}/{region}/{name_of_stack}/{name}", parameter)
        if kind == "CommaDelimitedList" or kind.startswith("List<"):
            return [part.strip() for part in str(given).split(",")]
        return given

    def _symbol(self, text: str, parameter: Mapping[str, Json]) -> str:
        symbol = f"{OPEN}{text}{CLOSE}"
        if isinstance(allowed := parameter.get("AllowedValues"), list) and allowed:
            self._values.allow(symbol, frozenset(map(_scalar, allowed)))
        return symbol

    def _from_parent(self, name: str, default: Json) -> Json:
        """Return the value that the parent passes for a nested stack's parameter."""
        if self._passed is None:
            # Placeholder while it is being followed, so that circular parameters and outputs end.
            self._passed = {}
            parent = self._assembly.by_key.get(self._stack.parent) if self._stack.parent is not None else None
            if parent is not None:
                given = parent.resources[self._stack.parent_id].get("Properties") or {}
                passed = self._values.of(parent).resolve(given.get("Parameters"))
                self._passed = passed if isinstance(passed, dict) else {}
        found = self._passed.get(name, default)
        # CloudFormation joins a passed list.
        return ",".join(map(_scalar, found)) if isinstance(found, list) else found

    def _attribute(self, logical_id: str, attribute: str) -> Json:
        """Return an attribute of a resource; a nested stack's is an output of its template."""
        nested = self._assembly.by_key.get(self._stack.key.nested(logical_id))
        if nested is not None and attribute.startswith(OUTPUTS):
            name = attribute.removeprefix(OUTPUTS)
            if name in (nested.template.get("Outputs") or {}):
                return self._values.output(nested.key, name)
        return str(self._reference(logical_id, attribute))

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
                return self._attribute(logical_id, attribute)
            case "Fn::GetAtt", str(text) if "." in text:
                logical_id, _, attribute = text.partition(".")
                return self._attribute(logical_id, attribute)
            case "Fn::If", [str(condition), one, other]:
                return self._either(condition, one, other)
            case "Fn::Sub", str(text):
                return self._substitute(text, {})
            case "Fn::Sub", [str(text), dict(variables)]:
                return self._substitute(text, variables)
            case "Fn::FindInMap", [table, first, second, *default]:
                return self._find(table, first, second, default)
            case "Fn::GetStackOutput", {"StackName": stack, "OutputName": output, **rest}:
                region = self._value(rest.get("Region", self._stack.key.region))
                place = StackKey(self._stack.key.account, str(region), str(self._value(stack)))
                return self._values.output(place, str(self._value(output)))
            case "Fn::ImportValue", export:
                return self._import(self._value(export))
        if name in _TEXTUAL:
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
            case "Fn::Length", list(parts):
                return len(parts)
            case "Fn::ToJsonString", dict() | list():
                return json.dumps(argument, ensure_ascii=False)
        return self._opaque(name, argument)

    def _either(self, condition: str, one: Json, other: Json) -> Json:
        holds = self._condition(condition)
        if holds is not None:
            return self._value(one if holds else other)
        sides = [self._value(side) for side in (one, other)]
        if sides[0] == sides[1]:
            return sides[0]
        # By the condition's expression, not only by its name.
        return self._opaque(
            "Fn::If", [self._expression(condition), *({"Ref": _NO_VALUE} if side is _GONE else side for side in sides)]
        )

    def _expression(self, condition: str, depth: int = 0) -> Json:
        """Return a condition's expression, with the conditions that it names included."""
        conditions = self._stack.template.get("Conditions") or {}
        return self._spelled(conditions.get(condition, condition), depth) if depth <= _DEEPEST else condition

    def _spelled(self, expression: Json, depth: int) -> Json:
        match expression:
            case {"Condition": str(name)}:
                return self._expression(name, depth + 1)
            case {"Fn::Not": _} | {"Fn::And": _} | {"Fn::Or": _}:
                return {key: self._spelled(inner, depth) for key, inner in expression.items()}
            case list():
                return [self._spelled(inner, depth) for inner in expression]
        return self._value(expression)

    def _substitute(self, text: str, variables: Mapping[str, Json]) -> Json:
        def replace(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in variables:
                value = self._value(variables[name])
            elif "." in name and not name.startswith("AWS::"):
                value = self._attribute(*name.split(".", 1))
            else:
                value = self._ref(name)
            return _scalar(value) if _is_scalar(value) else str(self._opaque("Fn::Sub", value))

        # `${!Name}` is the text `${Name}`.
        return self._without_digests(_SUBSTITUTION.sub(replace, text).replace("${!", "${"))

    def _find(self, table: Json, first: Json, second: Json, default: list[Json]) -> Json:
        fallback = default[0].get("DefaultValue") if default and isinstance(default[0], dict) else None
        keys = [self._value(part) for part in (table, first, second)]
        mappings: Json = self._stack.template.get("Mappings") or {}
        found, is_decided = mappings, True
        for key in keys:
            chosen, is_known = self._key(key, found, otherwise=fallback is not None)
            found = found.get(chosen) if isinstance(found, dict) else None
            is_decided = is_decided and is_known
        if found is not None:
            return self._value(found)
        if fallback is not None and is_decided:
            return self._value(fallback)
        # Including the mapping, which may be the part that changes.
        known = mappings.get(keys[0], mappings) if isinstance(keys[0], str) else mappings
        return self._opaque("Fn::FindInMap", [*keys, *default, known])

    def _key(self, key: Json, within: Json, *, otherwise: bool) -> tuple[str | None, bool]:
        """Return a key of a mapping, and whether it is known; the world's choice if only the deployment knows it."""
        if not _is_scalar(key):
            return None, False
        if not _is_symbol(key):
            return _scalar(key), OPEN not in str(key)
        options = within if isinstance(within, dict) else {}
        return self._values.choose(key, map(str, options), otherwise=otherwise)

    def _import(self, export: Json) -> Json:
        found = self._values.exported(self._stack.key, export)
        return self._opaque("Fn::ImportValue", export) if found is None else found

    def _condition(self, name: str, depth: int = 0) -> bool | None:
        """Return True if a condition holds; None if only the deployment knows."""
        if name not in self._conditions:
            self._conditions[name] = None
            expression = (self._stack.template.get("Conditions") or {}).get(name, {"Undefined": [*self._place, name]})
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
                if left == right or (_is_scalar(left) and _is_scalar(right) and _scalar(left) == _scalar(right)):
                    return True
                known = not any(OPEN in text for text in (*texts(left), *texts(right)))
                return False if known else self._values.equal(left, right)
        # The unknown value is the same wherever it is used.
        return self._values.equal(self._opaque("Condition", expression), HOLDS)

    def _opaque(self, name: str, argument: Json) -> str:
        """Return a symbol for something unknown that is equal only to itself."""
        text = json.dumps({name: argument}, sort_keys=True, ensure_ascii=False, default=str)
        return OPEN + text.replace(OPEN, _INNER_OPEN).replace(CLOSE, _INNER_CLOSE) + CLOSE


def _all(known: Sequence[bool | None]) -> bool | None:
    if False in known:
        return False
    return None if None in known else True


def _is_symbol(value: Json) -> bool:
    """Return True if a whole value is something that only the deployment knows."""
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None


def _is_scalar(value: Json) -> bool:
    return isinstance(value, str | int | float)


def _scalar(value: Json) -> str:
    """Return a scalar as CloudFormation writes it in text."""
    return str(value).lower() if isinstance(value, bool) else str(value)
