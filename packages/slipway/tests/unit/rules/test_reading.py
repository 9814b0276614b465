"""Rules read nested stacks and loops like other resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipway.assembly.nested import NESTED_STACK
from slipway.nag.own import SynthesizedStack
from slipway.rules.model import Templates
from slipway.rules.reading import read_stacks
from unit.rules.templates import found

PATH = "Pipeline/prod-items/Data"
TABLE = {"Type": "AWS::DynamoDB::Table", "Properties": {}}


def _nested(file: str, **properties: Any) -> dict[str, Any]:
    return {
        "Type": NESTED_STACK,
        "Properties": {"TemplateURL": "https://a", **properties},
        "Metadata": {"aws:asset:path": file, "aws:cdk:path": f"{PATH}/Inner.NestedStack/Inner.NestedStackResource"},
    }


def _read(folder: Path, outer: Mapping[str, Any], inner: Mapping[str, Any] | None = None) -> Templates:
    template = folder / "Data.template.json"
    template.write_text(json.dumps(outer), encoding="utf-8")
    if inner is not None:
        (folder / "Inner.nested.template.json").write_text(json.dumps(inner), encoding="utf-8")
    artifact = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://123456789012/eu-west-1",
        "properties": {"templateFile": template.name, "stackName": "prod-items-data", "terminationProtection": True},
    }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {"Data": artifact}}), encoding="utf-8")
    return Templates(tuple(read_stacks([SynthesizedStack(PATH, template)])))


def test_nested_stacks_are_judged(tmp_path: Path) -> None:
    # Given a nested stack with a table that is not retained
    templates = _read(
        tmp_path,
        {"Resources": {"Inner": _nested("Inner.nested.template.json")}},
        {"Resources": {"Table": TABLE}},
    )

    # When it is read
    outer, inner = templates.stacks

    # Then it is a separate stack with its parent's environment
    assert (inner.path, inner.name, inner.home) == (f"{PATH}/Inner", "prod-items-data.Inner", PATH)
    assert (inner.account, inner.region, inner.termination_protection) == ("123456789012", "eu-west-1", True)
    assert templates.nested(next(outer.resources)) is inner
    assert [resource.logical_id for resource in templates.of_type("AWS::DynamoDB::Table")] == ["Table"]


def test_references_are_followed_into_and_out_of_nested_stacks(tmp_path: Path) -> None:
    # Given a nested stack that receives a queue from its parent and returns a table
    inner = _nested("Inner.nested.template.json", Parameters={"Given": {"Fn::GetAtt": ["Queue", "Arn"]}})
    templates = _read(
        tmp_path,
        {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, "Inner": inner}},
        {
            "Parameters": {"Given": {"Type": "String"}},
            "Resources": {"Table": TABLE},
            "Outputs": {"Name": {"Value": {"Ref": "Table"}}},
        },
    )
    outer, nested = templates.stacks

    # When each reference is followed
    taken = templates.referred(nested, {"Fn::Join": ["", ["a", {"Ref": "Given"}]]})
    put_out = templates.referred(outer, {"Fn::GetAtt": ["Inner", "Outputs.Name"]})

    # Then it leads to the resource in the other stack
    assert [(resource.stack.path, resource.logical_id) for resource in taken] == [(PATH, "Queue")]
    assert (f"{PATH}/Inner", "Table") in {(resource.stack.path, resource.logical_id) for resource in put_out}


def test_nested_stacks_data_may_be_in_a_stateful_stack(tmp_path: Path) -> None:
    templates = _read(
        tmp_path,
        {"Resources": {"Inner": _nested("Inner.nested.template.json")}},
        {"Resources": {"Table": TABLE}, "Outputs": {"Name": {"Value": "a"}}},
    )

    stacks = [replace(stack, environment="test") for stack in templates.stacks]

    assert found("StatefulApart", *stacks) == []
    assert found("OutputDescribed", *stacks) == []
    assert found("StatefulApart", *(replace(stack, outermost="Pipeline/test-items/Compute") for stack in stacks[1:]))


def test_loops_are_unrolled(tmp_path: Path) -> None:
    resources = {
        "Fn::ForEach::Known": ["Name", ["A", "B"], {"Table${Name}": TABLE}],
        "Fn::ForEach::Unknown": ["Name", {"Ref": "Names"}, {"Queue${Name}": TABLE}],
    }
    parameters = {"Names": {"Type": "CommaDelimitedList"}}

    (stack,) = _read(tmp_path, {"Parameters": parameters, "Resources": resources}).stacks

    assert [resource.logical_id for resource in stack.resources] == ["TableA", "TableB"]
    assert stack.loops == ("Resources.Fn::ForEach::Unknown",)
