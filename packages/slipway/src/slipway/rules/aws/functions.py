"""Which function a value means, whether it names the function, a version or an alias."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.model import Resource, Stack, Templates, Value

FUNCTION = "AWS::Lambda::Function"
ALIAS = "AWS::Lambda::Alias"
VERSION = "AWS::Lambda::Version"


def functions(templates: Templates, stack: Stack, value: Value) -> Iterator[Resource]:
    """Yield the functions that a value means, those behind an alias or a version included.

    Args:
        templates: all the stacks that are judged.
        stack: the stack in whose template the value stands.
        value: a name or an ARN, as the template has it.
    """
    for target in templates.referred(stack, value):
        if target.type == FUNCTION:
            yield target
        elif target.type in {ALIAS, VERSION}:
            yield from functions(templates, target.stack, target.get("FunctionName"))
