"""Template values, as far as they are known before a deployment."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.review.assembly import Assembly, StackKey
from slipway.review.values import Reference, Values, readable, references
from unit.review.assemblies import ACCOUNT, REGION, assembly, resource, stack

KEY = StackKey(ACCOUNT, REGION, "prod-items-data")
TABLE = str(Reference(KEY, "Table", "Ref"))


def resolved(value: Any, **sections: Any) -> Any:
    one = stack({"Table": resource("AWS::DynamoDB::Table")}, **sections)
    return Values(assembly(one)).of(one).resolve(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::AccountId"}, ACCOUNT),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::StackName"}, "prod-items-data"),
        ({"Ref": "Table"}, TABLE),
        ({"Fn::GetAtt": ["Table", "Arn"]}, str(Reference(KEY, "Table", "Arn"))),
        ({"Fn::GetAtt": "Table.Arn"}, str(Reference(KEY, "Table", "Arn"))),
        ({"Fn::Join": ["/", ["a", {"Ref": "Table"}, {"Ref": "AWS::Region"}]]}, f"a/{TABLE}/{REGION}"),
        ({"Fn::Sub": "${AWS::Region}-${Table}-${!Literal}"}, f"{REGION}-{TABLE}-${{Literal}}"),
        (
            {"Fn::Sub": ["${a}-${Table.Arn}", {"a": {"Ref": "AWS::AccountId"}}]},
            f"{ACCOUNT}-{Reference(KEY, 'Table', 'Arn')}",
        ),
        ({"Fn::Select": ["1", {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
        ({"Fn::Base64": "a"}, "a"),
    ],
)
def test_known_values_are_resolved(value: Any, expected: Any) -> None:
    assert resolved(value) == expected


def test_parameters_resolve_to_their_defaults() -> None:
    parameters = {
        "Size": {"Type": "Number", "Default": 3},
        "Names": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Given": {"Type": "String"},
        "Looked": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/a"},
    }

    assert resolved({"Ref": "Size"}, Parameters=parameters) == 3
    assert resolved({"Ref": "Names"}, Parameters=parameters) == ["a", "b"]
    # A value known only at deployment equals only itself
    given, looked = (resolved({"Ref": name}, Parameters=parameters) for name in ("Given", "Looked"))
    assert given != looked
    assert given == resolved({"Ref": "Given"}, Parameters=parameters)


def test_mappings_are_looked_up() -> None:
    mappings = {"Sizes": {REGION: {"small": 1}}}

    assert resolved({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, Mappings=mappings) == 1
    assert resolved({"Fn::FindInMap": ["Sizes", "elsewhere", "small"]}, Mappings=mappings) != 1


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"Fn::Equals": [{"Ref": "AWS::Region"}, REGION]}, "yes"),
        ({"Fn::Not": [{"Fn::Equals": ["a", "a"]}]}, "no"),
        ({"Fn::And": [{"Fn::Equals": ["a", "a"]}, {"Fn::Equals": ["a", "b"]}]}, "no"),
        ({"Fn::Or": [{"Fn::Equals": ["a", "b"]}, {"Condition": "Other"}]}, "yes"),
        # A false operand decides, whatever the other is
        ({"Fn::And": [{"Fn::Equals": ["a", "b"]}, {"Fn::Equals": [{"Ref": "Given"}, "x"]}]}, "no"),
    ],
)
def test_conditions_are_evaluated(condition: Any, expected: str) -> None:
    conditions = {"It": condition, "Other": {"Fn::Equals": ["a", "a"]}}
    parameters = {"Given": {"Type": "String"}}

    assert resolved({"Fn::If": ["It", "yes", "no"]}, Conditions=conditions, Parameters=parameters) == expected


def test_an_unknown_condition_keeps_both_branches() -> None:
    conditions = {"It": {"Fn::Equals": [{"Ref": "Given"}, "x"]}}
    parameters = {"Given": {"Type": "String"}}

    either = resolved({"Fn::If": ["It", "yes", "no"]}, Conditions=conditions, Parameters=parameters)
    assert "yes" in either
    assert "no" in either
    assert resolved({"Fn::If": ["It", "same", "same"]}, Conditions=conditions, Parameters=parameters) == "same"


def test_circular_conditions_terminate() -> None:
    assert resolved({"Fn::If": ["A", 1, 2]}, Conditions={"A": {"Condition": "B"}, "B": {"Condition": "A"}}) not in {
        1,
        2,
    }


def _reading(value: Any, outputs: dict[str, Any]) -> Any:
    producer = stack({"Table": resource("AWS::DynamoDB::Table")}, Outputs=outputs)
    reader = stack({"Topic": resource("AWS::SNS::Topic")}, name="prod-items-compute")
    return Values(Assembly(stacks=(producer, reader))).of(reader).resolve(value)


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::GetStackOutput": {"StackName": "prod-items-data", "Region": REGION, "OutputName": "Name"}},
        {"Fn::ImportValue": "exported"},
    ],
)
def test_outputs_of_other_stacks_are_followed(value: Any) -> None:
    # Given the output under any name, then only its value counts
    assert _reading(value, {"Name": {"Value": {"Ref": "Table"}, "Export": {"Name": "exported"}}}) == TABLE


def test_missing_outputs_equal_only_themselves() -> None:
    value = {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Gone"}}

    assert _reading(value, {}) != TABLE
    assert _reading(value, {}) == _reading(value, {})


def test_circular_outputs_terminate() -> None:
    value = {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Name"}}

    assert isinstance(_reading(value, {"Name": {"Value": value}}), str)


def test_only_asset_digests_are_ignored() -> None:
    one, other = "a" * 64, "b" * 64
    values = [resolved(f"{digest}.zip", assets=frozenset({one, other})) for digest in (one, other)]

    assert values[0] == values[1]
    assert resolved(f"{one}.zip") != resolved(f"{other}.zip")


def test_version_is_named_after_its_function() -> None:
    def reading(logical_id: str) -> Any:
        version = resource("AWS::Lambda::Version", {"FunctionName": {"Ref": "Function"}})
        one = stack({"Function": resource("AWS::Lambda::Function"), logical_id: version})
        return Values(assembly(one)).of(one).resolve({"Fn::GetAtt": [logical_id, "Version"]})

    assert reading("Versionaaaa") == reading("Versionbbbb")


def test_references_are_found_wherever_they_are() -> None:
    value = resolved(
        {"a": [{"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "Table"}]}]}], "b": {"Fn::Sub": "x${Table.Arn}"}}
    )

    assert set(references(value)) == {Reference(KEY, "Table", "Ref"), Reference(KEY, "Table", "Arn")}


def test_references_are_shown_as_written() -> None:
    assert readable(resolved({"Fn::Join": ["", ["a:", {"Ref": "Table"}]]})) == "a:${Table}"
    assert readable(resolved({"Fn::GetAtt": ["Table", "Arn"]})) == "${Table.Arn}"
    assert "${Table}" in readable(resolved({"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "Table"}]}]}))
