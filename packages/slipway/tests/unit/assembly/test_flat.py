"""Flattening inlines a template's nested stacks, so that one template describes what is deployed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slipway.assembly.flat import flat, stack_template
from slipway.assembly.nested import NESTED_STACK
from slipway.assembly.reader import StackEntry


def _nested(template: Mapping[str, Any], **attributes: Any) -> dict[str, Any]:
    """Return a nested stack whose metadata carries its template, for `_read`."""
    properties = {"TemplateURL": "a", **attributes.pop("Properties", {})}
    return {"Type": NESTED_STACK, "Properties": properties, "Metadata": {"template": template}, **attributes}


def _read(resource: Mapping[str, Any]) -> Any:
    return resource["Metadata"].get("template")


def _flat(resources: Mapping[str, Any], **sections: Any) -> Any:
    return flat({"Resources": dict(resources), **sections}, _read)


TABLE = {"Type": "AWS::DynamoDB::Table"}


def test_resources_stand_beside_their_parents() -> None:
    inner = {"Resources": {"Table": TABLE, "Other": {"Type": "AWS::SQS::Queue", "DependsOn": "Table"}}}

    template = _flat({"Queue": {"Type": "AWS::SQS::Queue", "DependsOn": ["Data"]}, "Data": _nested(inner)})

    assert set(template["Resources"]) == {"Queue", "DataTable", "DataOther"}
    assert template["Resources"]["DataOther"]["DependsOn"] == ["DataTable"]
    assert template["Resources"]["Queue"]["DependsOn"] == ["DataTable", "DataOther"]


def test_names_of_the_cdk_are_shortened() -> None:
    name = "DataNestedStackDataNestedStackResource0123ABCD"

    assert set(_flat({name: _nested({"Resources": {"Table": TABLE}})})["Resources"]) == {"Data0123ABCDTable"}


def test_parameters_are_what_the_parent_passes() -> None:
    # Given a nested stack with one parameter that its parent passes, and one with a default
    arn = {"Fn::GetAtt": ["Queue", "Arn"]}
    inner = {
        "Parameters": {"Given": {"Type": "String"}, "Kept": {"Type": "String", "Default": "a"}},
        "Resources": {
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "A": {"Ref": "Given"},
                    "B": {"Ref": "Kept"},
                    "C": {"Fn::Sub": "${Given}/${Kept}/${Table}/${Table.Arn}/${AWS::Region}/${!Given}"},
                },
            }
        },
    }

    # When the nested stack is flattened into its parent
    template = _flat({"Data": _nested(inner, Properties={"Parameters": {"Given": arn}})})

    # Then every reference resolves to the same value as before
    assert template["Parameters"] == {"DataKept": {"Type": "String", "Default": "a"}}
    assert template["Resources"]["DataTable"]["Properties"] == {
        "A": arn,
        "B": {"Ref": "DataKept"},
        "C": {
            "Fn::Sub": [
                "${Given}/${DataKept}/${DataTable}/${DataTable.Arn}/${AWS::Region}/${!Given}",
                {"Given": arn},
            ]
        },
    }


def test_outputs_are_what_they_are_in_the_nested_stack() -> None:
    # Given a nested stack two levels deep, whose table the root template reads through outputs
    deep = {"Resources": {"Table": TABLE}, "Outputs": {"Name": {"Value": {"Ref": "Table"}}}}
    inner = {
        "Resources": {"Deep": _nested(deep)},
        "Outputs": {"Name": {"Value": {"Fn::GetAtt": ["Deep", "Outputs.Name"]}, "Export": {"Name": "a"}}},
    }
    reader = {
        "Type": "AWS::SQS::Queue",
        "Properties": {
            "A": {"Fn::GetAtt": ["Data", "Outputs.Name"]},
            "B": {"Fn::GetAtt": "Data.Outputs.Name"},
            "C": {"Fn::Sub": "x-${Data.Outputs.Name}"},
            "D": {"Ref": "Data"},
        },
    }

    template = _flat({"Reader": reader, "Data": _nested(inner)})

    name = {"Ref": "DataDeepTable"}
    assert template["Resources"]["Reader"]["Properties"] == {
        "A": name,
        "B": name,
        "C": {"Fn::Sub": ["x-${DataOutputsName}", {"DataOutputsName": name}]},
        "D": {"Ref": "AWS::StackId"},
    }
    assert template["Outputs"] == {"DataName": {"Value": name, "Export": {"Name": "a"}}}


def test_conditions_hold_as_they_did() -> None:
    # Given a conditional nested stack that has its own conditions and mapping
    inner = {
        "Conditions": {"Own": {"Fn::Equals": ["a", "a"]}, "Not": {"Fn::Not": [{"Condition": "Own"}]}},
        "Mappings": {"Map": {"a": {"b": "c"}}},
        "Resources": {
            "Table": {**TABLE, "Condition": "Own", "Properties": {"A": {"Fn::If": ["Not", 1, 2]}}},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"A": {"Fn::FindInMap": ["Map", "a", "b"]}}},
        },
    }

    template = _flat({"Data": _nested(inner, Condition="Outer")}, Conditions={"Outer": {"Fn::Equals": ["b", "b"]}})

    assert template["Conditions"] == {
        "Outer": {"Fn::Equals": ["b", "b"]},
        "DataOwn": {"Fn::Equals": ["a", "a"]},
        "DataNot": {"Fn::Not": [{"Condition": "DataOwn"}]},
        "DataOwnAndOuter": {"Fn::And": [{"Condition": "Outer"}, {"Condition": "DataOwn"}]},
    }
    table, queue = template["Resources"]["DataTable"], template["Resources"]["DataQueue"]
    assert (table["Condition"], table["Properties"]["A"]) == ("DataOwnAndOuter", {"Fn::If": ["DataNot", 1, 2]})
    assert (queue["Condition"], queue["Properties"]["A"]) == ("Outer", {"Fn::FindInMap": ["DataMap", "a", "b"]})


def test_nested_stack_that_cannot_be_read_stays() -> None:
    elsewhere = {"Type": NESTED_STACK, "Properties": {"TemplateURL": "a"}, "Metadata": {}}
    template = {"Resources": {"Data": elsewhere}}

    assert flat(template, _read) == template


def test_nested_templates_are_found_in_the_assembly(tmp_path: Path) -> None:
    outer = {"Resources": {"Data": {"Type": NESTED_STACK, "Metadata": {"aws:asset:path": "Data.nested.template.json"}}}}
    (tmp_path / "Outer.template.json").write_text(json.dumps(outer), encoding="utf-8")
    (tmp_path / "Data.nested.template.json").write_text(json.dumps({"Resources": {"Table": TABLE}}), encoding="utf-8")

    template = stack_template(StackEntry("Outer", tmp_path, {"properties": {"templateFile": "Outer.template.json"}}))

    assert template["Resources"] == {"DataTable": TABLE}
