"""Resources of two assemblies, and their differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

from slipway.review.assembly import Assembly, Json, ReviewedStack, StackKey
from slipway.review.defaults import default
from slipway.review.schemas import is_set, schema
from slipway.review.values import VERSIONED, Reference, Resolver, Values, World, references, texts

# Metadata about a resource's origin, which causes no update.
_OWN_METADATA = "aws:"
_METADATA_TYPE = "AWS::CDK::Metadata"
# Members that identify the items of a list; the first that all items have is used.
_IDENTITIES = (
    ("Key",),
    ("Name",),
    ("Id",),
    ("IndexName",),
    ("AttributeName",),
    ("Sid",),
    ("PolicyName",),
    ("ResponseType",),
    ("RuleName",),
    ("PathPattern",),
    ("HeaderName",),
    ("ResourcePath", "HttpMethod"),
    ("ApiId", "Stage"),
    ("StatusCode",),
    ("ErrorCode",),
    ("RegionName",),
    ("Region",),
)


@dataclass(frozen=True, order=True)
class ResourceKey:
    """Identity of a resource."""

    stack: StackKey
    logical_id: str


class ReviewedResource:
    """A resource of a stack, whose values are resolved on demand.

    Args:
        stack: Its stack.
        logical_id: Its logical id.
        resolver: Resolves the stack's values.
    """

    def __init__(self, stack: ReviewedStack, logical_id: str, resolver: Resolver) -> None:
        self.stack = stack
        self.logical_id = logical_id
        self.raw = stack.resources[logical_id]
        self.type = str(self.raw["Type"])
        self.place = ResourceKey(stack.key, logical_id)
        """Stack and logical id."""
        self._resolver = resolver

    @cached_property
    def path(self) -> str:
        """Path of its construct, without CDK's own last part; the stack's with the logical id where none is known."""
        path = self.stack.paths.get(self.logical_id, f"{self.stack.path}/{self.logical_id}")
        return path.removesuffix("/Resource")

    @cached_property
    def properties(self) -> Mapping[str, Json]:
        """Its properties, resolved."""
        found = self._resolver.resolve(self.raw.get("Properties") or {})
        return found if isinstance(found, dict) else {}

    @cached_property
    def update_policy(self) -> Mapping[str, Json]:
        """Return its resolved update policy; an alias's contains its canary."""
        found = self._resolver.resolve(self.raw.get("UpdatePolicy") or {})
        return found if isinstance(found, dict) else {}

    @cached_property
    def metadata(self) -> Mapping[str, Json]:
        """Its metadata without CDK's own."""
        metadata = self.raw.get("Metadata") or {}
        return {key: value for key, value in metadata.items() if not str(key).startswith(_OWN_METADATA)}

    @cached_property
    def references(self) -> frozenset[Reference]:
        """Every attribute of other resources that its properties use."""
        return frozenset(references(self.properties))

    @cached_property
    def digests(self) -> frozenset[str]:
        """Its assets."""
        assets = self._resolver.assets
        words = (word for text in texts(self.raw.get("Properties") or {}) for word in (text, text.partition(".")[0]))
        return frozenset(word for word in words if word in assets)

    @cached_property
    def documents(self) -> Mapping[str, Json]:
        """Every policy document in its properties, by its place in them."""
        return dict(_documents(self.properties, ""))

    @cached_property
    def deletion_policy(self) -> str:
        """Return what happens to it when it is removed from the template."""
        return self.attribute("DeletionPolicy")

    @cached_property
    def replace_policy(self) -> str:
        """Return what happens to the old resource when it is replaced."""
        return self.attribute("UpdateReplacePolicy")

    def attribute(self, name: str) -> str:
        """Return `DeletionPolicy` or `UpdateReplacePolicy`, resolved, or CloudFormation's default if it is not set."""
        found = self._resolver.resolve(self.raw.get(name))
        return "Delete" if found is None else str(found)

    def get(self, path: str, default: Json = None) -> Json:
        """Return the value of a property.

        Args:
            path: Its name; names within each other are separated by dots.
            default: Result if it is not set.
        """
        value: Json = self.properties
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return default if value is None else value

    def setting(self, path: str) -> Json:
        """Return the value of a property; AWS's default if it is not set.

        Args:
            path: Its name; names within each other are separated by dots.
        """
        value = self.get(path)
        return default(self.type, path.split("."), self.properties) if value is None else value

    def items(self, path: str) -> list[Json]:
        """Return a list property; a single value becomes a list."""
        value = self.get(path)
        return value if isinstance(value, list) else [] if value is None else [value]

    def entries(self, path: str) -> list[Mapping[str, Any]]:
        """Return the items of a property that are objects."""
        return [item for item in self.items(path) if isinstance(item, Mapping)]


def _documents(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    # isinstance of plain types, for speed: this walks every value of every template.
    if isinstance(value, dict):
        if _are_statements(value.get("Statement")):
            yield path, value
            return
        for key, inner in value.items():
            yield from _documents(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _documents(inner, f"{path}.{index}")
    elif isinstance(value, str) and '"Statement"' in value and '"Effect"' in value:
        yield path, value


def _are_statements(value: Json) -> bool:
    statements = value if isinstance(value, list) else [value]
    return any(isinstance(statement, dict) and "Effect" in statement for statement in statements)


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """A resource before and after; only one of them if it is created or deleted.

    Args:
        before: The deployed resource.
        after: The new resource.
        renamed: True if the two are matched by similarity, not by their logical id.
    """

    before: ReviewedResource | None = None
    after: ReviewedResource | None = None
    renamed: bool = False

    @property
    def any(self) -> ReviewedResource:
        """Return the new resource, or the old one if it is deleted."""
        found = self.after or self.before
        assert found is not None  # noqa: S101  # nosec B101  # one of them is always there
        return found

    @property
    def type(self) -> str:
        """Its type."""
        return self.any.type

    @property
    def stays(self) -> bool:
        """Return True if CloudFormation treats it as the same resource before and after."""
        return self.before is not None and self.after is not None and not self.renamed

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Return the differences of its properties; empty if it is created or deleted."""
        if self.before is None or self.after is None or self.before is self.after:
            return ()
        rules = schema(self.type, self.any.stack.key.region)
        return tuple(differences(self.before.properties, self.after.properties, is_set=is_set(self.type, rules)))

    @cached_property
    def settings(self) -> tuple[Difference, ...]:
        """Every changed setting; a missing setting counts with AWS's default.

        A removed block counts as all of its settings, each changed to its default.
        """
        before, after = self.before, self.after
        if before is None or after is None:
            return ()
        found = []
        for leaf in (leaf for difference in self.differences for leaf in leaves(difference)):
            old, new = (
                default(self.type, leaf.path, side.properties) if value is None else value
                for value, side in ((leaf.before, before), (leaf.after, after))
            )
            if not _same(old, new):
                found.append(Difference(leaf.path, old, new))
        return tuple(found)

    @cached_property
    def other_changes(self) -> tuple[str, ...]:
        """Return its other differences: policies and metadata."""
        before, after = self.before, self.after
        if before is None or after is None or before is after:
            return ()
        found = [
            name
            for name in ("DeletionPolicy", "UpdateReplacePolicy")
            if before.raw.get(name) != after.raw.get(name) or before.attribute(name) != after.attribute(name)
        ]
        if before.raw.get("CreationPolicy") != after.raw.get("CreationPolicy"):
            found.append("CreationPolicy")
        if before.update_policy != after.update_policy:
            found.append("UpdatePolicy")
        if before.metadata != after.metadata:
            found.append("Metadata")
        return tuple(found)

    @property
    def new_code(self) -> bool:
        """Return True if its assets change."""
        before, after = self.before, self.after
        return before is not None and after is not None and before is not after and before.digests != after.digests


@dataclass(frozen=True)
class Difference:
    """One place in the properties where two resources differ.

    Args:
        path: Names and positions of the path.
        before: The value; None where it was not set.
        after: The value; None where it is not set.
    """

    path: tuple[str, ...]
    before: Json
    after: Json

    @property
    def name(self) -> str:
        """The path in the usual notation."""
        return ".".join(self.path)


def differences(
    before: Json,
    after: Json,
    path: tuple[str, ...] = (),
    *,
    is_set: Callable[[tuple[str, ...]], bool] = lambda _: False,
) -> Iterator[Difference]:
    """Find the deepest places where two values differ.

    Args:
        before: The old value.
        after: The new value.
        path: Names that lead to them.
        is_set: Returns True if AWS treats the list at a path as a set without order. Default: every list is ordered.
    """
    if before == after and type(before) is type(after):
        return
    match before, after:
        case Mapping(), Mapping():
            for key in sorted({*before, *after}):
                yield from differences(before.get(key), after.get(key), (*path, key), is_set=is_set)
        case list(), list():
            yield from _item_differences(before, after, path, is_set)
        case _ if before != after:
            yield Difference(path, before, after)


def _item_differences(
    before: list[Json], after: list[Json], path: tuple[str, ...], is_set: Callable[[tuple[str, ...]], bool]
) -> Iterator[Difference]:
    ones, others = _by_name(before), _by_name(after)
    if ones is not None and others is not None and (ones or others):
        for name in dict.fromkeys((*ones, *others)):
            yield from differences(ones.get(name), others.get(name), (*path, name), is_set=is_set)
        if list(ones) != list(others) and set(ones) == set(others) and not is_set(path):
            yield Difference(path, list(ones), list(others))
        return
    # Equal items on both sides match, wherever they are in the list.
    gone, come = list(enumerate(before)), list(enumerate(after))
    for item in before:
        twin = next((place for place, (_, other) in enumerate(come) if _same(item, other)), None)
        if twin is not None:
            del come[twin]
            del gone[next(place for place, (_, one) in enumerate(gone) if _same(item, one))]
    if not gone and not come:
        if not is_set(path):
            yield Difference(path, before, after)
        return
    for one, other in zip_longest(gone, come):
        position = other[0] if other is not None else one[0]
        yield from differences(
            one[1] if one is not None else None,
            other[1] if other is not None else None,
            (*path, str(position)),
            is_set=is_set,
        )


def _same(one: Json, other: Json) -> bool:
    return one == other and type(one) is type(other)


def _by_name(items: Sequence[Json]) -> dict[str, Json] | None:
    """Return items by the members that distinguish them; None if no members do."""
    if not all(isinstance(item, Mapping) for item in items):
        return None
    for identity in _IDENTITIES:
        names = [tuple(item.get(member) for member in identity) for item in items]
        if all(isinstance(part, str) for name in names for part in name) and len(set(names)) == len(names):
            return {" ".join(name): item for name, item in zip(names, items, strict=True)}
    return None


def value_at(value: Json, path: Sequence[str]) -> Json:
    """Return the value at a difference's path, with list items by name, or None."""
    for part in path:
        if isinstance(value, list):
            named = _by_name(value)
            value = {str(index): item for index, item in enumerate(value)} if named is None else named
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def leaves(difference: Difference) -> Iterator[Difference]:
    """Split a difference into single settings: a removed object becomes all of its members."""
    old, new = (dict(_flat(value, ())) for value in (difference.before, difference.after))
    for path in sorted({*old, *new}):
        yield Difference((*difference.path, *path), old.get(path), new.get(path))


def _flat(value: Json, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Json]]:
    match value:
        case Mapping() if value:
            for key, inner in value.items():
                yield from _flat(inner, (*path, str(key)))
        case list() if value:
            names = _by_name(value) or {str(index): inner for index, inner in enumerate(value)}
            for name, inner in names.items():
                yield from _flat(inner, (*path, name))
        case None:
            pass
        case _:
            yield path, value


class Side:
    """The resources of one assembly by their keys.

    Args:
        assembly: The assembly.
        shared: The other side, whose resources are reused if they must be equal.
        world: Assumed decisions of the deployment. Default: none.
    """

    def __init__(self, assembly: Assembly, shared: Side | None = None, world: World | None = None) -> None:
        self.assembly = assembly
        self.values = Values(assembly, world)
        self.resources: dict[ResourceKey, ReviewedResource] = {}
        same_surroundings = shared is not None and _same_surroundings(assembly, shared.assembly)
        for stack in assembly.stacks:
            if not self.values.exists(stack):
                continue
            resolver = self.values.of(stack)
            for logical_id, raw in stack.resources.items():
                if raw["Type"] == _METADATA_TYPE or not resolver.exists(raw):
                    continue
                place = ResourceKey(stack.key, logical_id)
                known = shared.resources.get(place) if shared is not None and same_surroundings else None
                if known is not None and known.raw == raw:
                    self.resources[place] = known
                else:
                    self.resources[place] = ReviewedResource(stack, logical_id, resolver)

    def of(self, reference: Reference) -> ReviewedResource | None:
        """Return the resource that a reference names."""
        return self.resources.get(ResourceKey(reference.stack, reference.logical_id))

    @cached_property
    def by_type(self) -> Mapping[str, list[ReviewedResource]]:
        """The resources by their type."""
        found: dict[str, list[ReviewedResource]] = {}
        for resource in self.resources.values():
            found.setdefault(resource.type, []).append(resource)
        return found


_SURROUNDINGS = ("Parameters", "Conditions", "Mappings", "Outputs")


def _same_surroundings(one: Assembly, other: Assembly) -> bool:
    """Return True if values resolve with equal inputs in both, so that equal templates give equal values.

    A resource behind an output may have changed its type, which decides how a reference to it is written.
    """
    if one.by_key.keys() != other.by_key.keys() or one.build_specifications != other.build_specifications:
        return False
    if one.assets != other.assets:
        return False
    for key, stack in one.by_key.items():
        twin = other.by_key[key]
        if stack is twin and stack.parent is None:
            continue
        if any(stack.template.get(name) != twin.template.get(name) for name in _SURROUNDINGS):
            return False
        if _versions(stack) != _versions(twin) or _given(one, stack) != _given(other, twin):
            return False
    return True


def _given(assembly: Assembly, stack: ReviewedStack) -> Json:
    """Return the parameters that a nested stack's parent passes."""
    if stack.parent is None:
        return None
    resource = assembly.by_key[stack.parent].resources[stack.parent_id]
    return [resource.get("Condition"), (resource.get("Properties") or {}).get("Parameters")]


def _versions(stack: ReviewedStack) -> dict[str, Json]:
    return {
        logical_id: resource.get("Properties", {}).get(VERSIONED[resource["Type"]])
        for logical_id, resource in stack.resources.items()
        if resource["Type"] in VERSIONED
    }
