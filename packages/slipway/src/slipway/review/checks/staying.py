"""Check for users of a replaced resource that keep the old one, because they don't change themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from slipway.review.assembly import StackKey
from slipway.review.effects import Effect, PlannedUpdate
from slipway.review.findings import ChangeFinding, found
from slipway.review.matching import Matching
from slipway.review.resources import ResourceKey, ReviewedResource

_VERSION = "AWS::Lambda::Version"


def staying(matching: Matching, effects: Mapping[ResourceKey, PlannedUpdate]) -> Iterator[ChangeFinding]:
    """Yield a finding for each version and stack that keeps a replaced resource's old value.

    A version keeps the environment variables that it was published with
    (https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html). If an output of another stack changes,
    CloudFormation does not update the stacks that read it by `Fn::GetStackOutput`.

    Args:
        matching: The matched resources of both assemblies.
        effects: Predicted action on each resource that exists before and after.
    """
    replaced = {place for place, outcome in effects.items() if outcome.effect == Effect.REPLACED}
    if not replaced:
        return
    told: set[StackKey] = set()
    for stack, names in _unchanged_readers(matching, replaced).items():
        told.add(stack)
        reader, used = names
        what = f"{stack.name} reads from {', '.join(used)}, which is replaced, but does not change itself"
        yield found("reader-not-updated", reader, what, detail=stack.name)
    for version in matching.after.by_type.get(_VERSION, ()):
        if version.place not in matching.before.resources:
            continue
        for function in _referred(matching, version):
            used = _used(function, replaced)
            if used and function.stack.key not in told:
                what = f"{', '.join(used)} is replaced, and the function that uses it gets no new version"
                yield found("version-not-renewed", function, what)


def _used(resource: ReviewedResource, replaced: set[ResourceKey]) -> list[str]:
    """Return the replaced resources whose attributes a resource uses."""
    places = {ResourceKey(each.stack, each.logical_id) for each in resource.references}
    return sorted(place.logical_id for place in places & replaced)


def _referred(matching: Matching, resource: ReviewedResource) -> Iterator[ReviewedResource]:
    for reference in sorted(resource.references, key=str):
        target = matching.after.of(reference)
        if target is not None:
            yield target


def _unchanged_readers(
    matching: Matching, replaced: set[ResourceKey]
) -> Mapping[StackKey, tuple[ReviewedResource, list[str]]]:
    """Map each stack whose template stays the same to its first reader and the replaced resources that it reads."""
    readers: defaultdict[StackKey, list[tuple[ReviewedResource, list[str]]]] = defaultdict(list)
    before, after = matching.before.assembly.by_key, matching.after.assembly
    # A nested stack is updated with its parent if the passed parameters change.
    outermost = {stack.key: after.outermost(stack).key for stack in after.stacks}
    for resource in matching.after.resources.values():
        key = resource.stack.key
        if key not in before or before[key].template != resource.stack.template:
            continue
        elsewhere = {place for place in replaced if outermost.get(place.stack) != outermost[key]}
        used = _used(resource, elsewhere)
        if used:
            readers[key].append((resource, used))
    return {
        key: (several[0][0], sorted({name for _, used in several for name in used}))
        for key, several in sorted(readers.items(), key=lambda each: each[0].name)
    }
