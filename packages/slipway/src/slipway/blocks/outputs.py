"""Stack outputs with stable ids: tests, tools and people find resources by these and by nothing else."""

from __future__ import annotations

from aws_cdk import CfnOutput, Stack


def output(stack: Stack, name: str, value: str, description: str) -> None:
    """Add an output whose logical id is exactly `name`.

    Args:
        stack: the stack that shows it.
        name: the output's id, PascalCase, the same in every environment.
        value: what it holds.
        description: one sentence for whoever reads the stack.
    """
    CfnOutput(stack, f"Output{name}", value=value, description=description).override_logical_id(name)
