"""Stack outputs with stable ids: the only way for tests, tools and people to find resources."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack


def output(stack: Stack, name: str, value: str, description: str) -> None:
    """Add an output whose logical id is exactly `name`.

    Args:
        stack: The stack that gets it.
        name: The output's id, PascalCase, the same in every environment.
        value: Its value.
        description: One sentence, shown with the stack.
    """
    CfnOutput(stack, f"Output{name}", value=value, description=description).override_logical_id(name)
