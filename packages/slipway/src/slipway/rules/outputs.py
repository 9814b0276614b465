"""Rule on outputs: each needs a description."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.model import Found, Rule, Templates

# CDK's own exports for weak references between stacks, which people don't read.
_PUBLISHED = "PublishOutput"


def _undescribed(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        # Outputs of a nested stack are written by CDK, and only its parent reads them.
        for name, output in (stack.body.get("Outputs", {}) if stack.parent is None else {}).items():
            if not name.startswith(_PUBLISHED) and not str(output.get("Description", "")).strip():
                yield Found(stack, finding=name)


RULES = (
    Rule(
        name="OutputDescribed",
        says="An output has no description.",
        fix="Create it with slipway.blocks.outputs.output and a description.",
        check=_undescribed,
    ),
)
