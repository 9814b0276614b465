"""Rules on CloudFormation: templates that are fetched or rewritten at the deployment, so no gate can read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from slipway.assembly.nested import NESTED_STACK, makes_unread
from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Stack, Templates

_READ = frozenset({"AWS::LanguageExtensions"})
"""Transforms whose intrinsic functions the gates evaluate."""


def _nested_elsewhere(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        for resource in stack.resources:
            nested = resource.type == NESTED_STACK and templates.nested(resource) is None
            if nested or makes_unread(resource.type):
                yield Found(stack, resource.logical_id)


def _rewritten(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        for name in (*(each for each in _transforms(stack) if each not in _READ), *stack.loops):
            yield Found(stack, finding=name)


def _transforms(stack: Stack) -> list[str]:
    value = stack.body.get("Transform")
    names = [*(value if isinstance(value, list) else [] if value is None else [value])]
    names += [stack.body["Fn::Transform"]] if "Fn::Transform" in stack.body else []
    return [str(name.get("Name", "Fn::Transform")) if isinstance(name, Mapping) else str(name) for name in names]


RULES = (
    AwsRule(
        name="NestedTemplateOfAssembly",
        does="CloudFormation fetches the template of a nested stack, a stack set or a module at the deployment, "
        "with its content at that time.",
        says="The template of the resource is not in the assembly, so no rule judges it.",
        fix="Create it with NestedStack, which publishes its template as an asset of the app.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-stack.html",
        check=_nested_elsewhere,
        planted={
            "Nested": {
                "Type": NESTED_STACK,
                "Properties": {"TemplateURL": "https://s3.amazonaws.com/elsewhere/template.json"},
            }
        },
    ),
    AwsRule(
        name="TemplateAsDeployed",
        does="CloudFormation has a macro rewrite the template at the deployment, and unrolls loops over lists that it "
        "knows only then.",
        says="The deployed template differs from the written one, so the rules judge the wrong template.",
        fix="Write out what the macro or the loop generates, with constructs and a loop in the app's language.",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-macros.html",
        check=_rewritten,
        planted={
            "Transform": "Macro",
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        },
    ),
)
