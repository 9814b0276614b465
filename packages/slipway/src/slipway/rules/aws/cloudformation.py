"""Rules on CloudFormation: leftovers of a deleted stack that block the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slipway.rules.aws.rule import AwsRule
from slipway.rules.model import Found, Templates, Value, data

_DELETION = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html"

_HOLD_DATA = frozenset(data("stateful.json")["types"])
_ELSEWHERE: Mapping[str, str] = data("names.json")["elsewhere"]

_RETAINED = frozenset({"Retain", "RetainExceptOnCreate"})

# Pseudo parameters with the same value for each stack of a template.
_FIXED_PSEUDO = frozenset({"AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::StackName", "AWS::URLSuffix"})


def _in_the_way(templates: Templates) -> Iterator[Found]:
    for stack in templates.stacks:
        parameters = stack.body.get("Parameters", {})
        for resource in stack.resources:
            if resource.type in _HOLD_DATA or resource.body.get("DeletionPolicy") not in _RETAINED:
                continue
            kind = resource.type.rpartition("::")[2]
            paths = [_ELSEWHERE[resource.type]] if resource.type in _ELSEWHERE else [f"{kind}Name", "Name"]
            names = [resource.get(*path.split(".")) for path in paths]
            if any(name is not None and _is_fixed(name, parameters) for name in names):
                yield Found(stack, resource.logical_id)


def _is_fixed(value: Value, parameters: Mapping[str, Any]) -> bool:
    """Return True if a name is the same each time a stack is created from the template."""
    match value:
        case str():
            return True
        case {"Ref": str(name)}:
            return name in _FIXED_PSEUDO or name in parameters
        case {"Fn::GetAtt": _} | {"Fn::GetStackOutput": _} | {"Fn::ImportValue": _}:
            return False
        case {"Fn::Sub": str(template)}:
            return _sub_is_fixed(template, parameters)
        case {"Fn::Sub": [str(template), dict(given)]}:
            return _sub_is_fixed(template, {**parameters, **given}) and _is_fixed(list(given.values()), parameters)
        case dict():
            return all(_is_fixed(inner, parameters) for inner in value.values())
        case list():
            return all(_is_fixed(inner, parameters) for inner in value)
    return True


def _sub_is_fixed(template: str, known: Mapping[str, Any]) -> bool:
    names = [part.partition("}")[0] for part in template.split("${")[1:]]
    return all(name.startswith("!") or name in _FIXED_PSEUDO or name in known for name in names)


RULES = (
    AwsRule(
        name="NothingRetainedInTheWay",
        does="A retained resource outlives its stack and keeps its name: the next stack of the same template is "
        'refused with "already exists". So is the same resource under a new logical id, because it is created first.',
        says="A resource without data is retained under a fixed name.",
        fix="Let CloudFormation name it, put the stack's id (AWS::StackId) into the name, or delete it with the stack.",
        source=_DELETION,
        check=_in_the_way,
        planted={
            "Log": {
                "Type": "AWS::Logs::LogGroup",
                "DeletionPolicy": "Retain",
                "Properties": {"LogGroupName": {"Fn::Sub": "aws-waf-logs-${AWS::StackName}"}},
            }
        },
    ),
)
