"""Report what the review could not read, resolve or follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from slipway.assembly.loops import loops
from slipway.assembly.nested import NESTED_STACK, makes_unread
from slipway.review.assembly import PIPELINE, Assembly, Json, ReviewedStack
from slipway.review.findings import KINDS, ChangeFinding, Severity, found
from slipway.review.matching import Matching
from slipway.review.resources import Difference, Pair, ReviewedResource, Side
from slipway.review.stateful import STATEFUL
from slipway.review.values import readable, unknowns
from slipway.review.worlds import Worlds

_READ: Final = frozenset({"AWS::LanguageExtensions"})
"""Transforms that the review follows: their functions are evaluated or reported one by one."""

_MACRO = "Fn::Transform"
_SHOWN = 5


def unread(matching: Matching) -> Iterator[ChangeFinding]:
    """Yield findings on unreadable parts of a change.

    Args:
        matching: The matched resources of both assemblies.
    """
    for pair in (*matching.kept, *matching.renamed, *matching.added, *matching.removed, *matching.retyped):
        if pair.before is pair.after:
            continue
        yield from _nested(pair, matching)
        yield from _unresolved(pair)
        yield from _conditioned(pair)
    for stack in matching.after.assembly.stacks:
        yield from _rewritten(matching.before.assembly.by_key.get(stack.key), stack)
    yield from _manifests(matching.before.assembly, matching.after.assembly)


def _manifests(before: Assembly, after: Assembly) -> Iterator[ChangeFinding]:
    """Yield what the manifests contain beyond known schemas, and values that CDK has not looked up yet."""

    def of_assembly(kind: str, severity: Severity, what: str, detail: str) -> ChangeFinding:
        return ChangeFinding(
            kind=kind, severity=severity, stage=PIPELINE, stack="", resource="manifest.json", what=what, detail=detail
        )

    for what in dict.fromkeys((*after.unread, *before.unread)):
        # An unchanged part has at most its old effect.
        severity = Severity.LOW if what in before.unread and what in after.unread else Severity.MEDIUM
        yield of_assembly("assembly-unread", severity, what, what)
    for key in after.lookups:
        what = f"CDK has not looked up {key}: the templates contain dummy values instead"
        severity = Severity.LOW if key in before.lookups else Severity.MEDIUM
        yield of_assembly("not-looked-up", severity, what, key)


def undecided(given: Worlds, matching: Matching) -> Iterator[ChangeFinding]:
    """Yield the finding that not every world was compared.

    Args:
        given: The worlds.
        matching: The resources of one of them.
    """
    if given.all_met:
        return
    asked = tuple(dict.fromkeys(readable(choice.symbol) for choice in given.choices))
    what = f"{len(given.worlds)} combinations were compared, not all combinations of {len(given.choices)} choices"
    changed = [stack for stack in matching.after.assembly.stacks if _changed(stack, matching.before.assembly)]
    for stack in changed[:1]:
        yield _of_stack("undecided", stack, what, details=asked)


def _changed(stack: ReviewedStack, before: Assembly) -> bool:
    twin = before.by_key.get(stack.key)
    return bool(stack.template.get("Conditions") or stack.template.get("Mappings")) and (
        twin is None or twin.template != stack.template
    )


def _nested(pair: Pair, matching: Matching) -> Iterator[ChangeFinding]:
    sides = ((pair.before, matching.before), (pair.after, matching.after))
    missing = [resource for resource, side in sides if resource is not None and _is_unread(resource, side)]
    if not missing or (pair.before is not None and pair.after is not None and not pair.differences):
        return
    if pair.after is None:
        what = "it is deleted with everything that it created, and its template cannot be read"
        yield found("nested-unread", missing[0], what, severity=Severity.CRITICAL)
    elif pair.before is None:
        yield found("nested-unread", missing[0], "it is new, and the template of its resources cannot be read")
    else:
        names = ", ".join(dict.fromkeys(difference.path[0] for difference in pair.differences))
        yield found(
            "nested-unread", missing[0], f"its {names} changes, and the template of its resources cannot be read"
        )


def _is_unread(resource: ReviewedResource, side: Side) -> bool:
    if resource.type == NESTED_STACK:
        return resource.stack.key.nested(resource.logical_id) not in side.assembly.by_key
    return makes_unread(resource.type)


def _conditioned(pair: Pair) -> Iterator[ChangeFinding]:
    """Yield a resource that is kept under a changed condition, but might not be with other parameters."""
    before, after = pair.before, pair.after
    if before is None or after is None:
        return
    condition = after.raw.get("Condition")
    if before.raw.get("Condition") == condition:
        return
    if condition is not None and condition not in (after.stack.template.get("Conditions") or {}):
        what = f"its condition {condition} is not in the template"
        yield found("broken-reference", after, what, detail="Condition")
    elif condition is not None:
        what = f"it is deployed only while {condition} holds"
        severity = Severity.MEDIUM if pair.type in STATEFUL else None
        yield found("conditioned", after, what, severity=severity)


def _unresolved(pair: Pair) -> Iterator[ChangeFinding]:
    """Yield properties whose value only the deployment knows, before or after."""
    if pair.after is None or (pair.before is not None and pair.before.type != pair.after.type):
        return
    changes: Iterable[Difference] = pair.differences
    if pair.before is None:
        changes = [Difference((name,), None, value) for name, value in pair.after.properties.items()]
    names: dict[str, None] = {}
    values: dict[str, None] = {}
    for change in changes:
        ones, others = set(unknowns(change.before)), set(unknowns(change.after))
        # If a text contains the same unknown value as before, the rest is compared.
        if ones != others:
            names[change.name] = None
            values.update(dict.fromkeys(sorted(ones ^ others)))
    if not names:
        return
    severity = Severity.LOW if pair.before is None else Severity.HIGH if pair.type in STATEFUL else None
    shown = ", ".join([*names][:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    what = f"only the deployment knows {shown}: {', '.join([*values][:_SHOWN])}"
    yield found("unresolved", pair.after, what, severity=severity)


def _rewritten(before: ReviewedStack | None, after: ReviewedStack) -> Iterator[ChangeFinding]:
    """Yield macros, and loops over values that only the deployment knows, in a template that changes."""
    if before is not None and (before is after or before.template == after.template):
        return
    macros = [name for name in _transforms(after.template) if name not in _READ]
    if macros:
        what = f"the template is rewritten by {', '.join(macros)}, and it changes"
        yield _of_stack("rewritten", after, what, detail="Transform")
    dropped = [name for name in _transforms(before.template if before else {}) if name not in {*_READ, *macros}]
    if dropped:
        what = f"the template is no longer rewritten by {', '.join(dropped)}"
        yield _of_stack("rewritten", after, what, detail="Transform-dropped")
    ones, others = loops(before.template) if before else {}, loops(after.template)
    for name in sorted({*ones, *others}):
        if ones.get(name) != others.get(name):
            what = f"{name} is known only at the deployment, and it changes"
            yield _of_stack("rewritten", after, what, detail=name)


def _transforms(template: Mapping[str, Json]) -> list[str]:
    value = template.get("Transform")
    names = [*(value if isinstance(value, list) else [] if value is None else [value])]
    # A macro may rewrite the whole template under its function's name, too.
    names += [template[_MACRO]] if _MACRO in template else []
    return [str(name.get("Name", _MACRO)) if isinstance(name, Mapping) else str(name) for name in names]


def _of_stack(
    kind: str, stack: ReviewedStack, what: str, *, detail: str = "", details: tuple[str, ...] = ()
) -> ChangeFinding:
    return ChangeFinding(
        kind=kind,
        severity=KINDS[kind].severity,
        stage=stack.stage,
        stack=stack.key.name,
        resource=stack.path,
        what=what,
        detail=detail,
        details=details,
    )
