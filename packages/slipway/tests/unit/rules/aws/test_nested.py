"""Nested stacks with templates outside the assembly, and templates that CloudFormation rewrites."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from slipway.assembly.nested import NESTED_STACK
from slipway.rules.aws.nested import RULES
from slipway.rules.aws.rule import planted_stack
from slipway.rules.model import Stack, Templates

BY_NAME = {rule.name: rule for rule in RULES}
NESTED = {"Nested": {"Type": NESTED_STACK, "Properties": {"TemplateURL": "https://s3.amazonaws.com/a/b.json"}}}
TOPIC = {"Topic": {"Type": "AWS::SNS::Topic"}}


def _found(rule: str, *stacks: Stack) -> list[tuple[str | None, str | None]]:
    return [(found.logical_id, found.finding) for found in BY_NAME[rule].check(Templates(stacks))]


def test_nested_stack_without_its_template_is_found() -> None:
    parent = planted_stack(NESTED)
    nested = replace(planted_stack(TOPIC), path=f"{parent.path}/Nested", parent=parent.path, parent_id="Nested")

    assert _found("NestedTemplateOfAssembly", parent) == [("Nested", None)]
    assert _found("NestedTemplateOfAssembly", parent, nested) == []


@pytest.mark.parametrize("kind", ["AWS::CloudFormation::StackSet", "Blue::Queue::Standard::MODULE"])
def test_types_with_external_templates_are_found(kind: str) -> None:
    assert _found("NestedTemplateOfAssembly", planted_stack({"It": {"Type": kind}})) == [("It", None)]


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (None, []),
        ("AWS::LanguageExtensions", []),
        ("Macro", ["Macro"]),
        (["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"], ["AWS::Serverless-2016-10-31"]),
        ({"Name": "AWS::Include", "Parameters": {"Location": "s3://a/b"}}, ["AWS::Include"]),
    ],
)
def test_macros_are_found(transform: Any, expected: list[str]) -> None:
    stack = planted_stack({"Resources": TOPIC, **({"Transform": transform} if transform else {})})

    assert _found("TemplateAsDeployed", stack) == [(None, name) for name in expected]


def test_loops_over_unknown_lists_are_found() -> None:
    stack = replace(planted_stack(TOPIC), loops=("Resources.Fn::ForEach::Queues",))

    assert _found("TemplateAsDeployed", stack) == [(None, "Resources.Fn::ForEach::Queues")]
