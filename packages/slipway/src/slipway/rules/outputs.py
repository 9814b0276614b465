"""Outputs say what they are."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.model import Found, Rule, Templates

# CDK's own exports for weak references between stacks, which people don't read.
_PUBLISHED = "PublishOutput"


def _undescribed(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        # What a nested stack puts out is its parent's alone to read, and CDK writes it.
        for name, output in (stack.body.get("Outputs", {}) if stack.parent is None else {}).items():
            if not name.startswith(_PUBLISHED) and not str(output.get("Description", "")).strip():
                yield Found(stack, finding=name)


RULES = (
    Rule(
        name="OutputDescribed",
        says="An output does not say what it is.",
        fix="Make it by slipway.blocks.outputs.output, with its description.",
        check=_undescribed,
    ),
)
