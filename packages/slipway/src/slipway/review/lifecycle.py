"""Created, deleted, replaced and renamed resources, and the consequences for data and users."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from slipway.review.assembly import Json, ReviewedStack, StackKey
from slipway.review.builds import is_publisher
from slipway.review.effects import Effect, PlannedUpdate, fixed_names
from slipway.review.findings import KINDS, ChangeFinding, Severity, found
from slipway.review.matching import Matching
from slipway.review.resources import Pair, ResourceKey, ReviewedResource, Side
from slipway.review.stateful import ADDRESSED, STATEFUL
from slipway.review.values import OUTPUTS, VERSIONED, Reference, readable

_KEPT = frozenset({"Retain", "RetainExceptOnCreate", "Snapshot"})
_RETAIN, _SNAPSHOT = "Retain", "Snapshot"
_POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")


def _fate(policy: str, held: str) -> str:
    """Return the fate of a resource that is removed from its template, and of its contents.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html: with
    Snapshot the resource is deleted, after a snapshot of it was made.
    """
    if policy == _SNAPSHOT:
        return f"is deleted; a snapshot of it is kept, with {held}"
    return f"remains as an orphan with {held}" if policy in _KEPT else f"is deleted with {held}"


def lifecycle(matching: Matching, effects: Mapping[ResourceKey, PlannedUpdate]) -> Iterator[ChangeFinding]:
    """Yield findings on the lifecycle of resources and stacks.

    Args:
        matching: The matched resources of both assemblies.
        effects: Predicted action on each resource that exists before and after.
    """

    def is_replaced(reference: Reference) -> bool:
        outcome = effects.get(ResourceKey(reference.stack, reference.logical_id))
        return outcome is not None and outcome.effect >= Effect.MAY_BE_REPLACED

    for pair in matching.kept:
        outcome = effects[pair.any.place]
        if outcome.effect >= Effect.MAY_BE_REPLACED:
            yield from _replaced(pair, outcome)
        if outcome.effect == Effect.REPLACED:
            yield from _name_taken(pair, fixed_names(pair, is_replaced))
        yield from _policies(pair)
    for pair in matching.removed:
        yield from _removed(pair, kept=_is_kept(pair.any, matching))
    for pair in matching.renamed:
        # Builds that publish assets are named after them.
        if not is_publisher(pair.before):
            yield from _renamed(pair)
    for pair in matching.retyped:
        yield from _retyped(pair)
    for stack in matching.removed_stacks:
        yield _removed_stack(stack, matching)
    yield from _termination_protection(matching)
    yield from _outputs(matching)
    yield from _exports(matching)
    yield from _broken(matching)


def _replaced(pair: Pair, outcome: PlannedUpdate) -> Iterator[ChangeFinding]:
    resource = pair.any
    replaced = outcome.effect == Effect.REPLACED
    verb = "is replaced" if replaced else "may be replaced"
    why = "; ".join(outcome.causes)
    what = f"{resource.type} {verb}: {why}"
    if resource.type in STATEFUL:
        kind = "stateful-replaced" if replaced else "stateful-may-be-replaced"
        lost = f"the old one {_fate(pair.any.replace_policy, STATEFUL[resource.type])}; the new one is empty"
        yield found(kind, resource, what, details=(lost,))
    elif resource.type in ADDRESSED:
        severity = None if replaced else Severity.MEDIUM
        yield found("address-replaced", resource, what, severity=severity, details=(ADDRESSED[resource.type],))
    elif outcome.causes[:1] and outcome.causes[0].startswith("the registry has no schema"):
        yield found("unknown-type", resource, what)
    else:
        yield found("replaced" if replaced else "may-be-replaced", resource, what)


def _name_taken(pair: Pair, names: tuple[str, ...]) -> Iterator[ChangeFinding]:
    if names:
        written = ", ".join(names)
        yield found("name-taken", pair.any, f"{pair.type} is replaced and its {written} stays the same")


def _policies(pair: Pair) -> Iterator[ChangeFinding]:
    before, after = pair.before, pair.after
    if before is None or after is None or before is after or pair.type not in STATEFUL:
        return
    for name in _POLICIES:
        old, new = (side.attribute(name) for side in (before, after))
        if old in _KEPT and new not in _KEPT:
            yield found(
                "protection-dropped", after, f"{name} goes from {readable(old)} to {readable(new)}", detail=name
            )


def _is_kept(resource: ReviewedResource, matching: Matching) -> bool:
    """Return True if a resource outlives its template: by its own policy, or within a nested stack that does."""
    if resource.deletion_policy in _KEPT:
        return True
    for stack in matching.before.assembly.lineage(resource.stack):
        place = ResourceKey(stack.parent, stack.parent_id) if stack.parent is not None else None
        if place is not None and place not in matching.after.resources:
            return matching.before.resources[place].deletion_policy in _KEPT
    return False


def _removed(pair: Pair, *, kept: bool) -> Iterator[ChangeFinding]:
    resource = pair.any
    if resource.type in STATEFUL:
        policy = resource.deletion_policy if not kept or resource.deletion_policy in _KEPT else _RETAIN
        fate = _fate(policy, STATEFUL[resource.type])
        what = f"{resource.type} {'leaves the template and ' if kept else ''}{fate}"
        yield found("stateful-removed", resource, what, details=(f"its DeletionPolicy is {resource.deletion_policy}",))
    elif kept and resource.deletion_policy == _SNAPSHOT:
        what = f"{resource.type} is removed from the template and deleted; a snapshot of it is kept"
        yield found("orphaned", resource, what)
    elif kept and resource.type not in VERSIONED:
        yield found("orphaned", resource, f"{resource.type} is removed from the template and retained")
    if resource.type in ADDRESSED:
        what = f"{resource.type} is removed"
        yield found("address-replaced", resource, what, details=(ADDRESSED[resource.type],))


def _renamed(pair: Pair) -> Iterator[ChangeFinding]:
    before, after = pair.before, pair.after
    if before is None or after is None:
        return
    stays = before.stack.key == after.stack.key
    if stays:
        what = f"{before.type} {before.logical_id} becomes {after.logical_id}; it looks the same"
    else:
        what = f"{before.type} {before.logical_id} moves from {before.stack.key.name} to {after.stack.key.name}"
    do = _how_to_keep(before, after)
    if before.type in STATEFUL:
        lost = f"the old one {_fate(before.deletion_policy, STATEFUL[before.type])}; the new one is empty"
        yield found(
            "stateful-removed", before, f"{what}: for CloudFormation it is a different resource", details=(lost,), do=do
        )
    yield found("renamed", after, what, do=do, detail=before.logical_id)
    if before.type in ADDRESSED:
        details = (ADDRESSED[before.type],)
        yield found("address-replaced", before, what, details=details, do=do)


def _how_to_keep(before: ReviewedResource, after: ReviewedResource) -> str:
    stack = after.stack.path
    refactor = (
        f"`cdk refactor --unstable=refactor --dry-run '{stack}'` shows the move; without --dry-run it executes it"
    )
    if before.stack.key == after.stack.key:
        return (
            f"override the logical id of {after.path} with {before.logical_id} "
            f"(`overrideLogicalId` of its CfnElement), or {refactor}"
        )
    return refactor


def _retyped(pair: Pair) -> Iterator[ChangeFinding]:
    before, after = pair.before, pair.after
    if before is None or after is None:
        return
    yield found("type-changed", after, f"{after.logical_id} was {before.type} and becomes {after.type}")
    yield from _removed(Pair(before=before), kept=before.deletion_policy in _KEPT)


def _removed_stack(stack: ReviewedStack, matching: Matching) -> ChangeFinding:
    lineage = matching.before.assembly.lineage
    held = [
        f"{resource.path} ({STATEFUL[resource.type]})"
        for resource in matching.before.resources.values()
        if resource.type in STATEFUL and any(outer is stack for outer in lineage(resource.stack))
    ]
    return ChangeFinding(
        kind="stack-removed",
        severity=KINDS["stack-removed"].severity,
        stage=stack.stage,
        stack=stack.key.name,
        resource=stack.path,
        what=f"nothing deploys the stack {stack.key.name} in {stack.key.account} any more",
        details=tuple(held),
    )


def _termination_protection(matching: Matching) -> Iterator[ChangeFinding]:
    for key, before in matching.before.assembly.by_key.items():
        after = matching.after.assembly.by_key.get(key)
        if after is not None and before.termination_protection and not after.termination_protection:
            yield ChangeFinding(
                kind="protection-dropped",
                severity=KINDS["protection-dropped"].severity,
                stage=after.stage,
                stack=key.name,
                resource=after.path,
                what="termination protection of the stack is switched off",
                detail="TerminationProtection",
            )


def _outputs(matching: Matching) -> Iterator[ChangeFinding]:
    """Yield outputs that are removed while another stack reads them, before or after."""
    before, after = matching.before.assembly, matching.after.assembly
    readers: dict[bool, dict[tuple[StackKey, str], set[str]]] = {}
    for key, stack in before.by_key.items():
        now = after.by_key.get(key)
        if now is None:
            continue
        outputs, left = _put_out(matching.before, stack), _put_out(matching.after, now)
        if outputs.keys() <= left.keys():
            continue
        if not readers:
            readers = {False: _readers(before.stacks), True: _readers(after.stacks)}
        for name in outputs.keys() - left.keys():
            read_now = readers[True].get((key, name), set())
            read_before = readers[False].get((key, name), set())
            exported = isinstance(outputs[name], Mapping) and "Export" in outputs[name]
            if read_now:
                what, severity = f"the output {name} is removed, but {_listed(read_now)} still reads it", Severity.HIGH
            elif exported and read_before:
                what = f"the export {name} is removed while {_listed(read_before)} imports it: CloudFormation refuses"
                severity = Severity.HIGH
            elif read_before:
                what = f"the output {name} is removed, which {_listed(read_before)} reads until its own update"
                # A weak reference is only read when the reader is deployed, so only a rollback would miss it.
                severity = Severity.INFO
            else:
                continue
            yield ChangeFinding(
                kind="output-removed",
                severity=severity,
                stage=now.stage,
                stack=key.name,
                resource=now.path,
                what=what,
                detail=name,
            )


def _put_out(side: Side, stack: ReviewedStack) -> dict[str, Json]:
    """Return the outputs of a stack, except those with a condition known to be false."""
    resolver = side.values.of(stack)
    return {
        name: output
        for name, output in (stack.template.get("Outputs") or {}).items()
        if not isinstance(output, Mapping) or resolver.exists(output)
    }


def _exports(matching: Matching) -> Iterator[ChangeFinding]:
    """Yield exports that are renamed or changed while a stack imports them: CloudFormation refuses both.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
    """
    old, new = (dict(_exported(side)) for side in (matching.before, matching.after))
    if old == new:
        return
    importers = _importers(matching.before)
    for (place, name), (stack, output, value) in old.items():
        readers = importers.get((place, name))
        after = matching.after.assembly.by_key.get(stack.key)
        # Removing a whole output is reported with the outputs.
        if not readers or after is None or output not in after.template.get("Outputs", {}):
            continue
        if (place, name) not in new:
            kind, what = "output-removed", f"the export {name} is renamed while {_listed(readers)} imports it"
        elif new[place, name][2] != value:
            kind, what = "update-refused", f"the value of the export {name} changes while {_listed(readers)} imports it"
        else:
            continue
        yield ChangeFinding(
            kind=kind,
            severity=Severity.HIGH,
            stage=after.stage,
            stack=after.key.name,
            resource=after.path,
            what=f"{what}: CloudFormation refuses",
            detail=name,
            do="add an export under a new name; remove the old one a release after its last import",
        )


_Export = tuple[tuple[str, str], str]
"""Account, region and name, which identify an export."""


def _exported(side: Side) -> Iterator[tuple[_Export, tuple[ReviewedStack, str, Json]]]:
    for stack in side.assembly.stacks:
        resolver = side.values.of(stack)
        for output, content in stack.template.get("Outputs", {}).items():
            if isinstance(content, Mapping) and isinstance(content.get("Export"), Mapping):
                name = resolver.resolve(content["Export"].get("Name"))
                value = side.values.output(stack.key, output)
                yield ((stack.key.account, stack.key.region), str(name)), (stack, output, value)


def _importers(side: Side) -> dict[_Export, set[str]]:
    """Return the stacks that import each export."""
    found_ones: dict[_Export, set[str]] = {}
    for stack in side.assembly.stacks:
        for value in _external(stack.template):
            if "Fn::ImportValue" in value:
                name = str(side.values.of(stack).resolve(value["Fn::ImportValue"]))
                found_ones.setdefault(((stack.key.account, stack.key.region), name), set()).add(stack.key.name)
    return found_ones


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _readers(stacks: Iterable[ReviewedStack]) -> dict[tuple[StackKey, str], set[str]]:
    """Return the stacks that read an output of another one, by output."""
    exports = {
        (stack.key.account, stack.key.region, output["Export"].get("Name")): (stack.key, name)
        for stack in stacks
        for name, output in stack.template.get("Outputs", {}).items()
        if isinstance(output, Mapping)
        and isinstance(output.get("Export"), Mapping)
        # A name that isn't plain text would have to be resolved; CDK writes plain text.
        and isinstance(output["Export"].get("Name"), str)
    }
    found: dict[tuple[StackKey, str], set[str]] = {}
    for stack in stacks:
        for value in _external(stack.template):
            match value:
                case {"Fn::GetStackOutput": {"StackName": str(owner), "OutputName": str(output), **rest}}:
                    region = rest.get("Region", stack.key.region)
                    key = StackKey(stack.key.account, region if isinstance(region, str) else stack.key.region, owner)
                    found.setdefault((key, output), set()).add(stack.key.name)
                case {"Fn::ImportValue": str(export)}:
                    owner_and_name = exports.get((stack.key.account, stack.key.region, export))
                    if owner_and_name:
                        found.setdefault(owner_and_name, set()).add(stack.key.name)
    return found


def _external(value: Json) -> Iterator[Json]:
    match value:
        case {"Fn::GetStackOutput": _} | {"Fn::ImportValue": _}:
            yield value
        case dict():
            for inner in value.values():
                yield from _external(inner)
        case list():
            for inner in value:
                yield from _external(inner)


def _broken(matching: Matching) -> Iterator[ChangeFinding]:
    """Yield references to resources missing from the template, by what changed or was removed."""
    after = matching.after
    gone = {pair.before.place for pair in (*matching.removed, *matching.renamed) if pair.before}
    for resource in after.resources.values():
        unchanged = matching.before.resources.get(resource.place) is resource
        if unchanged and not gone:
            continue
        for reference in resource.references:
            place = ResourceKey(reference.stack, reference.logical_id)
            if (unchanged and place not in gone) or place.stack not in after.assembly.by_key:
                continue
            if place in after.resources and place.stack.nested(place.logical_id) in after.assembly.by_key:
                # Its template's outputs are followed, so this isn't one of them.
                if reference.attribute.startswith(OUTPUTS):
                    what = f"it refers to {reference.attribute} of the nested stack, which is not one of its outputs"
                    yield found("broken-reference", resource, what, detail=f"{place.logical_id}.{reference.attribute}")
                continue
            if "~" in reference.logical_id or place in after.resources or reference.logical_id.startswith("AWS::"):
                continue
            if reference.stack == resource.stack.key:
                what = f"it refers to {reference.logical_id}, which is not in the template"
                yield found("broken-reference", resource, what, detail=reference.logical_id)
