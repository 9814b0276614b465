"""Resolve a value to its function, whether it refers to the function, a version or an alias."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.rules.model import Resource, Stack, Templates, Value

FUNCTION = "AWS::Lambda::Function"
ALIAS = "AWS::Lambda::Alias"
VERSION = "AWS::Lambda::Version"


def functions(templates: Templates, stack: Stack, value: Value) -> Iterator[Resource]:
    """Yield the functions that a value refers to, including those behind an alias or a version.

    Args:
        templates: All the stacks that are judged.
        stack: The stack whose template contains the value.
        value: A name or an ARN, as the template has it.
    """
    for target in templates.referred(stack, value):
        if target.type == FUNCTION:
            yield target
        elif target.type in {ALIAS, VERSION}:
            yield from functions(templates, target.stack, target.get("FunctionName"))
