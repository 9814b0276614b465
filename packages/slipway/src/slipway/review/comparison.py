"""Review two assemblies: the planned change to every resource of every stage, and the findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from slipway.assembly.nested import NESTED_STACK
from slipway.review.assembly import PIPELINE, Assembly, ReviewedStack
from slipway.review.builds import missing_files
from slipway.review.checks import CheckContext, checked
from slipway.review.checks.staying import staying
from slipway.review.effects import Effect, PlannedUpdate, effects
from slipway.review.findings import ChangeFinding
from slipway.review.iam.access import access, renaming
from slipway.review.lifecycle import lifecycle
from slipway.review.matching import Matching, match
from slipway.review.resources import Pair, ResourceKey, Side
from slipway.review.unread import undecided, unread
from slipway.review.values import World
from slipway.review.worlds import Worlds, worlds_of

_MERGED = frozenset({"cors-widened", "unjudged"})
"""Kinds of findings that a single setting may cause for dozens of resources of a stack."""


class Fate(StrEnum):
    """The planned change to a resource, for people."""

    ADDED = "added"
    CHANGED = "changed"
    REPLACED = "replaced"
    MAY_BE_REPLACED = "may be replaced"
    RENAMED = "renamed"
    REMOVED = "removed"


_FATES = {
    Effect.UPDATED: Fate.CHANGED,
    Effect.MAY_BE_REPLACED: Fate.MAY_BE_REPLACED,
    Effect.REPLACED: Fate.REPLACED,
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """The planned change to one resource.

    Args:
        fate: The planned change.
        resource: Path of its construct.
        type: Its type.
        properties: Its changed properties.
        causes: Why it is replaced.
    """

    fate: Fate
    resource: str
    type: str
    properties: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StackChanges:
    """The planned changes to one stack.

    Args:
        name: Its name.
        account: Its account.
        region: Its region.
        fate: Planned change to the stack itself.
        changes: Planned changes to its resources.
    """

    name: str
    account: str
    region: str
    fate: Fate | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class StageChanges:
    """The planned changes to one stage of the pipeline, or to the pipeline itself.

    Args:
        name: `prod-<service>`, …; `pipeline`.
        stacks: Its changed stacks.
    """

    name: str
    stacks: tuple[StackChanges, ...]

    def count(self, *fates: Fate) -> int:
        """Return the number of resources with one of some fates."""
        return sum(change.fate in fates for stack in self.stacks for change in stack.changes)


@dataclass(frozen=True, kw_only=True)
class Code:
    """Resources that get new code, and no other relevant change.

    Args:
        functions: Number of functions.
        layers: Number of layer versions.
        others: Number of other resources with assets.
        versions: Number of new versions and deployments.
    """

    functions: int = 0
    layers: int = 0
    others: int = 0
    versions: int = 0

    def __str__(self) -> str:
        parts = (
            (self.functions, "function"),
            (self.layers, "layer version"),
            (self.others, "other resource"),
        )
        named = [f"{number} {noun}{'' if number == 1 else 's'}" for number, noun in parts if number]
        return f"new code for {' and '.join(named)}" if named else "no new code"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The effects of a change.

    Args:
        stages: Every stage with its changes; an unchanged stage has no stacks.
        findings: The findings, the gravest first.
        code: Resources with new code.
    """

    stages: tuple[StageChanges, ...] = ()
    findings: tuple[ChangeFinding, ...] = ()
    code: Code = Code()

    def count(self, *fates: Fate) -> int:
        """Return the number of resources with one of some fates."""
        return sum(stage.count(*fates) for stage in self.stages)

    @property
    def is_empty(self) -> bool:
        """Return True if nothing changes at all."""
        return not self.findings and self.code == Code() and not any(stage.stacks for stage in self.stages)


def compare(
    before: Assembly | None,
    after: Assembly,
    *,
    has_file: Callable[[str], bool] | None = None,
    protected: frozenset[str] = frozenset(),
) -> Comparison:
    """Review the change from one assembly to another.

    Args:
        before: The deployed assembly; None for the first delivery, in which everything is added and nothing judged.
        after: The new assembly.
        has_file: Returns True if the commit of `after` has a file, by its path from the root. Default: unknown, and the
            files that builds run are not checked.
        protected: Types that a stack policy protects from deletion.
    """
    return compare_sides(
        Side(before or Assembly()), after, judged=before is not None, has_file=has_file, protected=protected
    )


def compare_sides(
    before: Side,
    after: Assembly,
    *,
    judged: bool = True,
    has_file: Callable[[str], bool] | None = None,
    protected: frozenset[str] = frozenset(),
) -> Comparison:
    """Compare like `compare`, for a base that is compared with several assemblies.

    Args:
        before: The deployed resources.
        after: The new assembly.
        judged: True to return findings.
        has_file: As for `compare`.
        protected: As for `compare`.
    """
    given = worlds_of(before.assembly, after)
    reviews = [_reviewed(before, after, world, judged=judged, protected=protected) for world in given.worlds]
    found = list(_over_all(given, [review.findings for review in reviews]))
    if judged:
        found += undecided(given, reviews[0].matching)
        found += missing_files(reviews[0].matching.after, has_file) if has_file is not None else ()
    return Comparison(
        stages=_stages(reviews),
        findings=tuple(sorted(found, key=lambda finding: finding.order)),
        code=_code(reviews[0].matching),
    )


@dataclass(frozen=True, kw_only=True)
class _Review:
    """The review for one combination of parameters and conditions (a world)."""

    matching: Matching
    outcomes: Mapping[ResourceKey, PlannedUpdate]
    findings: frozenset[ChangeFinding]


def _reviewed(before: Side, after: Assembly, world: World, *, judged: bool, protected: frozenset[str]) -> _Review:
    side = Side(before.assembly, world=world) if world else before
    matching = match(side, Side(after, side, world))
    outcomes = effects(matching)
    findings = frozenset(_findings(matching, outcomes, protected)) if judged else frozenset()
    return _Review(matching=matching, outcomes=outcomes, findings=findings)


def _over_all(given: Worlds, findings: Sequence[frozenset[ChangeFinding]]) -> Iterator[ChangeFinding]:
    """Yield every finding once, the most severe of each id, with its world unless it occurs in all of them."""
    by_id: defaultdict[str, list[tuple[World, ChangeFinding]]] = defaultdict(list)
    for world, found in zip(given.worlds, findings, strict=True):
        for finding in found:
            by_id[finding.id].append((world, finding))
    for several in by_id.values():
        world, finding = min(several, key=lambda each: (each[1].order, each[1].what))
        if len({id(each) for each, _ in several}) < len(given.worlds):
            finding = replace(finding, details=(*finding.details, f"if {given.describe(world)}"))
        yield finding


def _findings(
    matching: Matching, outcomes: Mapping[ResourceKey, PlannedUpdate], protected: frozenset[str]
) -> Iterator[ChangeFinding]:
    yield from lifecycle(matching, outcomes)
    yield from staying(matching, outcomes)
    yield from access(matching)
    yield from unread(matching)
    context = CheckContext(matching, renaming(matching) or (lambda text: text), protected)
    merged: defaultdict[tuple[str, str, str], list[ChangeFinding]] = defaultdict(list)
    for pair in matching.pairs:
        for finding in checked(pair, context):
            if finding.kind in _MERGED:
                merged[finding.kind, finding.stack, finding.what].append(finding)
            else:
                yield finding
    for group in merged.values():
        first, *_ = sorted(group, key=lambda finding: finding.resource)
        others = tuple(sorted({finding.resource for finding in group} - {first.resource}))
        yield replace(first, details=tuple(f"also {resource}" for resource in others))


def _stages(reviews: Sequence[_Review]) -> tuple[StageChanges, ...]:
    matching = reviews[0].matching
    stacks = {stack.key: stack for side in (matching.before, matching.after) for stack in side.assembly.stacks}
    changes: defaultdict[object, list[Change]] = defaultdict(list)
    for place, change in _gravest(each for review in reviews for each in _changes(review.matching, review.outcomes)):
        changes[place.stack].append(change)
    added = {stack.key for stack in matching.added_stacks}
    removed = {stack.key for stack in matching.removed_stacks}
    by_stage: dict[str, list[StackChanges]] = {stack.stage: [] for stack in stacks.values()}
    for key, stack in stacks.items():
        fate = Fate.ADDED if key in added else Fate.REMOVED if key in removed else None
        if fate is None and not changes[key]:
            continue
        by_stage[stack.stage].append(
            StackChanges(
                name=key.name,
                account=key.account,
                region=key.region,
                fate=fate,
                changes=tuple(
                    sorted(changes[key], key=lambda change: (list(Fate).index(change.fate), change.resource))
                ),
            )
        )
    order = _order([*matching.after.assembly.stacks, *matching.before.assembly.stacks])
    return tuple(StageChanges(name=name, stacks=tuple(by_stage[name])) for name in order)


_GRAVEST = (Fate.REMOVED, Fate.REPLACED, Fate.MAY_BE_REPLACED, Fate.RENAMED, Fate.CHANGED, Fate.ADDED)


def _gravest(changes: Iterable[tuple[ResourceKey, Change]]) -> Iterator[tuple[ResourceKey, Change]]:
    """Yield each resource's worst change over all worlds, with the properties that change in any of them."""
    by_place: dict[tuple[ResourceKey, str], list[Change]] = {}
    for place, change in changes:
        by_place.setdefault((place, change.resource), []).append(change)
    for (place, _), several in by_place.items():
        first = min(several, key=lambda change: _GRAVEST.index(change.fate))
        properties = dict.fromkeys(name for change in (first, *several) for name in change.properties)
        yield place, replace(first, properties=tuple(properties))


def _order(stacks: Iterable[ReviewedStack]) -> list[str]:
    """Return the stages in the manifest's order, which is that of the delivery; the pipeline's own first."""
    names = list(dict.fromkeys(stack.stage for stack in stacks))
    return sorted(names, key=lambda name: name != PIPELINE)


def _changes(matching: Matching, outcomes: Mapping[ResourceKey, PlannedUpdate]) -> Iterator[tuple[ResourceKey, Change]]:
    for pair in matching.kept:
        outcome = outcomes[pair.any.place]
        if outcome.effect in _FATES:
            yield pair.any.place, _change(pair, _FATES[outcome.effect], outcome.causes)
    for pair in matching.added:
        yield pair.any.place, _change(pair, Fate.ADDED)
    for pair in matching.removed:
        yield pair.any.place, _change(pair, Fate.REMOVED)
    for pair in matching.renamed:
        if pair.before is not None:
            yield pair.any.place, _change(pair, Fate.RENAMED, (f"it was {pair.before.logical_id}",))
    for pair in matching.retyped:
        if pair.before is not None:
            yield pair.any.place, _change(pair, Fate.REPLACED, (f"it was {pair.before.type}",))


def _change(pair: Pair, fate: Fate, causes: tuple[str, ...] = ()) -> Change:
    names = dict.fromkeys(difference.name for difference in pair.differences)
    return Change(
        fate=fate,
        resource=pair.any.path,
        type=pair.type,
        properties=(*names, *pair.other_changes),
        causes=causes,
    )


def _code(matching: Matching) -> Code:
    # The template of a nested stack is also an asset, but is compared like any other template.
    changed = [pair for pair in matching.kept if pair.new_code and pair.type != NESTED_STACK]
    functions = sum(pair.type == "AWS::Lambda::Function" for pair in changed)
    layers = sum(pair.type == "AWS::Lambda::LayerVersion" for pair in changed)
    return Code(
        functions=functions,
        layers=layers,
        others=len(changed) - functions - layers,
        versions=len(matching.versions),
    )
