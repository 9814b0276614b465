"""Values known only at deployment are tried in every way, and both sides of a change are compared in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway.review.assembly import Assembly
from slipway.review.comparison import compare
from slipway.review.findings import ChangeFinding, Severity
from slipway.review.worlds import MOST, worlds_of
from unit.review.assemblies import assembly, nested, of, resource, stack
from unit.review.planted import BUCKET, TABLE, policy_of_bucket

STAGE = {"Stage": {"Type": "String"}}
IS_PROD = {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}}
NOT_PROD = {"IsProd": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "prod"]}]}}


def _table(protection: Any, **attributes: Any) -> dict[str, Any]:
    table = TABLE["Table"]
    properties = {**table["Properties"], "DeletionProtectionEnabled": protection}
    return {"Table": {**table, "Properties": properties, **attributes}}


def _of(resources: Mapping[str, Any], **sections: Any) -> Assembly:
    return of(resources, **{"Parameters": STAGE, "Conditions": IS_PROD, **sections})


def _found(before: Assembly, after: Assembly, kind: str) -> list[ChangeFinding]:
    return [finding for finding in compare(before, after).findings if finding.kind == kind]


def _either(one: Any, other: Any) -> dict[str, Any]:
    return {"Fn::If": ["IsProd", one, other]}


NOTHING = {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("kind", ["String", "AWS::SSM::Parameter::Value<String>"])
def test_inverted_condition_is_compared_both_ways(kind: str) -> None:
    # Given a protection that depends on a condition known only at deployment
    parameters = {"Stage": {"Type": kind, **({"Default": "/stage"} if "SSM" in kind else {})}}
    before = _of(_table(_either(True, False)), Parameters=parameters)

    # When the condition's expression is inverted
    (finding,) = _found(
        before, _of(_table(_either(True, False)), Parameters=parameters, Conditions=NOT_PROD), "protection-dropped"
    )

    # Then protection is lost in one of the cases, and the finding says which
    assert "if " in finding.details[-1]
    assert finding.details[-1].endswith(" is prod")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_either(True, NOTHING), _either(NOTHING, True)),
        (_either(True, False), _either(False, True)),
        (_either(True, True), _either(True, False)),
        (True, _either(False, True)),
        (_either(True, False), False),
    ],
)
def test_swapped_branches_are_compared(before: Any, after: Any) -> None:
    assert _found(_of(_table(before)), _of(_table(after)), "protection-dropped")


@pytest.mark.parametrize(
    ("before", "after"),
    [({}, {"Condition": "IsProd"}), ({"Condition": "IsProd"}, {"Condition": "IsOther"})],
)
def test_resource_that_gains_a_condition_may_be_removed(before: Any, after: Any) -> None:
    conditions = {**IS_PROD, "IsOther": {"Fn::Equals": [{"Ref": "Stage"}, "other"]}}

    found = _found(
        _of(_table(True, **before), Conditions=conditions),
        _of(_table(True, **after), Conditions=conditions),
        "stateful-removed",
    )

    assert [finding.severity for finding in found] == [Severity.CRITICAL]


def test_a_changed_condition_may_remove_a_resource() -> None:
    # Given a table under a condition whose expression is inverted
    found = _found(
        _of(_table(True, Condition="IsProd")),
        _of(_table(True, Condition="IsProd"), Conditions=NOT_PROD),
        "stateful-removed",
    )

    assert found[0].details[-1].endswith(" is prod")


def test_nested_stack_under_a_condition_may_be_removed() -> None:
    def conditioned(**attributes: Any) -> Assembly:
        outer = {"Nested": resource("AWS::CloudFormation::Stack", {"TemplateURL": "a"}, **attributes)}
        parent = stack(outer, Parameters=STAGE, Conditions=IS_PROD)
        return assembly(parent, nested(parent, "Nested", TABLE))

    assert _found(conditioned(), conditioned(Condition="IsProd"), "stateful-removed")


def test_condition_on_a_parameter_of_the_parent_is_one_choice() -> None:
    # Given a nested stack with the parent's parameter, and a condition on it in both templates
    def both(protection: Any) -> Assembly:
        parameters = {"TemplateURL": "a", "Parameters": {"Given": {"Ref": "Stage"}}}
        outer = {"Nested": resource("AWS::CloudFormation::Stack", parameters), **_table(_either(True, False))}
        parent = stack(outer, Parameters=STAGE, Conditions=IS_PROD)
        inner = {"IsProd": {"Fn::Equals": [{"Ref": "Given"}, "prod"]}}
        sections = {"Parameters": {"Given": {"Type": "String"}}, "Conditions": inner}
        return assembly(parent, nested(parent, "Nested", _table(protection), **sections))

    # When the nested template changes, then two cases are compared, not four
    before, after = both(_either(True, False)), both(_either(False, True))
    assert len(worlds_of(before, after).worlds) == 2
    assert _found(before, after, "protection-dropped")


def test_mapping_by_unknown_key_is_compared_per_key() -> None:
    # Given a retention that depends on the stage, shortened only for prod
    def days(prod: int) -> Assembly:
        group = {
            "Logs": resource(
                "AWS::Logs::LogGroup", {"RetentionInDays": {"Fn::FindInMap": ["Days", {"Ref": "Stage"}, "Logs"]}}
            )
        }
        return _of(group, Mappings={"Days": {"dev": {"Logs": 1}, "prod": {"Logs": prod}}})

    (finding,) = _found(days(365), days(1), "retention-shortened")

    assert finding.details[-1].endswith(" is prod")


def test_statement_under_a_condition_is_compared() -> None:
    # Given a bucket that everyone may read under a condition
    read = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
    denied = {**read, "Effect": "Deny"}

    found = _found(
        _of(policy_of_bucket(denied)), _of(policy_of_bucket(_either(read, denied))), "resource-policy-widened"
    )

    assert Severity.CRITICAL in {finding.severity for finding in found}


def test_policy_under_a_condition_is_resolved() -> None:
    # Given a deletion policy that depends on the stage
    before = _of(_table(True, DeletionPolicy="Retain"))
    after = _of(_table(True, DeletionPolicy=_either("Retain", "Delete")), Transform="AWS::LanguageExtensions")

    (finding,) = _found(before, after, "protection-dropped")

    assert finding.details[-1].endswith(" is not prod")


def test_allowed_values_bound_the_worlds() -> None:
    # Given a parameter that allows only prod and dev, with a condition on each
    parameters = {"Stage": {"Type": "String", "AllowedValues": ["dev", "prod"]}}
    conditions = {**IS_PROD, "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]}}

    def protected(last: Any) -> Assembly:
        choice = _either(True, {"Fn::If": ["IsDev", True, last]})
        return _of(_table(choice), Parameters=parameters, Conditions=conditions)

    # When the value for neither changes, then nothing is found
    assert len(worlds_of(protected(True), protected(False)).worlds) == 2
    assert not _found(protected(True), protected(False), "protection-dropped")


def test_combinations_are_limited_and_the_limit_is_reported() -> None:
    # Given more conditions than can be combined
    names = [f"P{index}" for index in range(7)]

    def tagged(value: str) -> Assembly:
        tags = [{"Key": name, "Value": {"Fn::If": [f"If{name}", value, "b"]}} for name in names]
        return of(
            {"Bucket": resource("AWS::S3::Bucket", {**BUCKET["Bucket"]["Properties"], "Tags": tags})},
            Parameters={name: {"Type": "String"} for name in names},
            Conditions={f"If{name}": {"Fn::Equals": [{"Ref": name}, "on"]} for name in names},
        )

    given = worlds_of(tagged("a"), tagged("c"))

    # Then each of them is tried both ways at least once
    assert len(given.worlds) <= MOST < 2**7
    assert not given.all_met
    for choice in given.choices:
        assert {world[choice.symbol] for world in given.worlds} == {"on", None}
    (finding,) = _found(tagged("a"), tagged("c"), "undecided")
    assert finding.details == tuple(f"${{{name}}}" for name in names)


def test_same_conditions_on_both_sides_change_nothing() -> None:
    one, other = (_of(_table(_either(True, NOTHING), Condition="IsProd")) for _ in range(2))

    assert compare(one, other).is_empty
    assert len(worlds_of(one, other).worlds) == 1


def test_output_that_gains_a_condition_may_be_missed() -> None:
    # Given an output read by another stack that becomes dependent on the stage
    def read(**condition: Any) -> Assembly:
        output = {"Value": {"Ref": "Table"}, **condition}
        owner = stack(TABLE, Parameters=STAGE, Conditions=IS_PROD, Outputs={"Name": output})
        function = resource(
            "AWS::Lambda::Function",
            {"Handler": {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Name"}}},
        )
        return assembly(owner, stack({"Function": function}, name="prod-items-compute"))

    (finding,) = _found(read(), read(Condition="IsProd"), "output-removed")

    assert finding.details[-1].endswith(" is not prod")


def test_condition_that_is_not_in_the_template_is_broken() -> None:
    (finding,) = _found(_of(_table(True)), _of(_table(True, Condition="Missing")), "broken-reference")

    assert "Missing" in finding.what
