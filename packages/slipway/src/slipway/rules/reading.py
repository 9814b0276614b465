"""Read the stacks of a cloud assembly for rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.assembly.loops import loops, unrolled, without_loops
from slipway.assembly.nested import nested_stacks, short_id, template_file
from slipway.assembly.reader import StackEntry, read_manifest, read_template
from slipway.nag.own import Breach, SynthesizedStack
from slipway.rules.model import Found, Stack


def read_stacks(stacks: Iterable[SynthesizedStack]) -> list[Stack]:
    """Return the stacks with their templates, sorted by path, each followed by those nested in it.

    Args:
        stacks: The stacks of the assembly.
    """
    return [each for stack in sorted(stacks, key=lambda each: each.path) for each in _read(stack)]


def breach(identifier: str, found: Found, *, says: str, fix: str) -> Breach:
    """Return the finding of one rule at one place, as the gate reports it.

    Args:
        identifier: Id of the rule, with its pack's name.
        found: The place.
        says: The error.
        fix: How to fix it.
    """
    return Breach(
        rule=identifier + (f"[{found.finding}]" if found.finding else ""),
        description=says,
        fix=fix,
        stack=found.stack.path,
        template=found.stack.template,
        logical_id=found.logical_id,
    )


def _read(stack: SynthesizedStack) -> Iterator[Stack]:
    entry = _entry(stack.template)
    account, region = entry.place
    outermost = Stack(
        path=stack.path,
        name=entry.name,
        template=stack.template,
        account=account,
        region=region,
        termination_protection=bool(entry.properties.get("terminationProtection", False)),
        **_body(stack.template),
    )
    yield outermost
    yield from _nested(outermost, entry.assets.files)


def _nested(parent: Stack, files: Mapping[str, Any]) -> Iterator[Stack]:
    """Yield the stacks nested in one, recursively; a rule reports templates missing from the assembly."""
    for logical_id in nested_stacks(parent.body):
        resource = parent.body["Resources"][logical_id]
        template = template_file(resource, parent.template.parent, files)
        if template is None:
            continue
        construct = (resource.get("Metadata") or {}).get("aws:cdk:path", f"{parent.path}/{logical_id}")
        stack = replace(
            parent,
            path=str(construct).partition(".NestedStack/")[0],
            name=f"{parent.name}.{short_id(logical_id)}",
            template=template,
            parent=parent.path,
            parent_id=logical_id,
            outermost=parent.home,
            **_body(template),
        )
        yield stack
        yield from _nested(stack, files)


def _body(template: Path) -> dict[str, Any]:
    """Return a template without its loops, and the names of those that only the deployment can unroll."""
    body = unrolled(read_template(template))
    left = loops(body)
    if left:
        sections = {name.partition(".")[0] for name in left}
        body = {**body, **{section: without_loops(body[section]) for section in sections}}
    return {"body": body, "loops": tuple(left)}


def _entry(template: Path) -> StackEntry:
    """Return a stack's entry in the manifest beside its template."""
    for entry in read_manifest(template.parent).stacks():
        if entry.properties.get("templateFile") == template.name:
            return entry
    return StackEntry(template.name.partition(".")[0], template.parent, {})
