"""Values that cannot be read or resolved are reported, but only if they change."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.review.assembly import Assembly
from slipway.review.comparison import compare
from slipway.review.findings import Severity
from slipway.review.values import Values, unknowns
from unit.review.assemblies import of, resource
from unit.review.planted import TABLE

UNKNOWN = [
    ({"Ref": "Given"}, "${Given}"),
    ({"Ref": "Read"}, "${/path}"),
    ({"Fn::ImportValue": "elsewhere"}, '{"Fn::ImportValue": "elsewhere"}'),
    ("{{resolve:secretsmanager:a}}", "{{resolve:secretsmanager:a}}"),
    ({"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://a"}}}, "AWS::Include"),
    ({"Fn::Select": [0, {"Fn::GetAZs": ""}]}, "Fn::GetAZs"),
    ({"Fn::Sub": "a-${Given}"}, "${Given}"),
    ({"Fn::GetStackOutput": {"StackName": "elsewhere", "OutputName": "A"}}, "${output A of elsewhere}"),
]
PARAMETERS = {
    "Given": {"Type": "String"},
    "Read": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/path"},
}


def _bus(name: Any, **sections: Any) -> Assembly:
    return of({"Rule": resource("AWS::Events::Rule", {"State": name})}, Parameters=PARAMETERS, **sections)


@pytest.mark.parametrize(("value", "said"), UNKNOWN)
def test_value_known_only_at_deployment_is_reported(value: Any, said: str) -> None:
    # Given a setting that changes to a value only known at deployment
    (finding,) = (each for each in compare(_bus("ENABLED"), _bus(value)).findings if each.kind == "unresolved")

    # Then it is reported, naming the unknown
    assert said in finding.what
    assert finding.severity == Severity.MEDIUM

    # And also in the reverse direction, but not without a change
    assert "unresolved" in {each.kind for each in compare(_bus(value), _bus("ENABLED")).findings}
    assert compare(_bus(value), _bus(value)).is_empty


def test_attributes_of_resources_are_known() -> None:
    # Given values of the assembly's resources, split and selected
    values = [{"Ref": "Rule"}, {"Fn::Select": [1, {"Fn::Split": [":", {"Fn::GetAtt": ["Rule", "Arn"]}]}]}]
    side = of({"Rule": resource("AWS::Events::Rule")})
    resolver = Values(side).of(side.stacks[0])

    assert [list(unknowns(resolver.resolve(value))) for value in values] == [[], []]


def test_digest_of_an_asset_is_known() -> None:
    digest = "0" * 64
    function = {"Function": resource("AWS::Lambda::Function", {"Code": {"S3Key": f"{digest}.zip"}})}
    topic = {"Topic": resource("AWS::SNS::Topic")}

    findings = compare(of(topic), of(topic | function, assets=frozenset({digest}))).findings

    assert not findings


def test_new_resource_with_unknown_settings_is_reported() -> None:
    before = of({"Rule": resource("AWS::Events::Rule")}, Parameters=PARAMETERS)
    after = of(
        {
            "Rule": resource("AWS::Events::Rule"),
            "Route": resource("AWS::ApiGatewayV2::Route", {"AuthorizationType": {"Ref": "Given"}}),
        },
        Parameters=PARAMETERS,
    )

    (finding,) = (each for each in compare(before, after).findings if each.kind == "unresolved")

    assert finding.severity == Severity.LOW
    assert "AuthorizationType" in finding.what


@pytest.mark.parametrize("transform", ["Macro", ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]])
def test_template_rewritten_by_a_macro_is_reported(transform: Any) -> None:
    findings = compare(_bus("ENABLED", Transform=transform), _bus("DISABLED", Transform=transform)).findings

    assert "rewritten" in {finding.kind for finding in findings}


def test_added_or_removed_macro_is_reported() -> None:
    one, other = _bus("ENABLED"), _bus("ENABLED", Transform="Macro")

    assert [finding.kind for finding in compare(one, other).findings] == ["rewritten"]
    assert [finding.kind for finding in compare(other, one).findings] == ["rewritten"]


# Loops

LOOPING = {"Transform": "AWS::LanguageExtensions", "Parameters": {"Names": {"Type": "CommaDelimitedList"}}}


def _loop(collection: Any, protection: bool = True) -> Assembly:
    body = {**TABLE["Table"], "Properties": {**TABLE["Table"]["Properties"], "TableName": {"Fn::Sub": "a-${Name}"}}}
    body["Properties"]["DeletionProtectionEnabled"] = protection
    resources: dict[str, Any] = {"Fn::ForEach::Tables": ["Name", collection, {"Table${Name}": body}]}
    return of({"Topic": resource("AWS::SNS::Topic"), **resources}, **LOOPING)


def test_loops_are_followed() -> None:
    # Given a table for each of two names; one is deleted, and the other loses its protection
    findings = compare(_loop(["One", "Two"]), _loop(["One"], protection=False)).findings

    # Then both are found
    found = {(finding.kind, finding.resource.rpartition("/")[2]) for finding in findings}
    assert {("stateful-removed", "TableTwo"), ("protection-dropped", "TableOne")} <= found


def test_loop_over_unknown_values_is_reported() -> None:
    unknown = {"Ref": "Names"}

    findings = compare(_loop(unknown), _loop(unknown, protection=False)).findings

    assert {finding.kind for finding in findings} == {"rewritten"}
    assert compare(_loop(unknown), _loop(unknown)).is_empty


def test_loops_in_properties_are_followed() -> None:
    def rule(words: Any) -> Assembly:
        pattern = {"Fn::ForEach::Details": ["Word", words, {"${Word}": ["a"]}], "source": ["b"]}
        return of({"Rule": resource("AWS::Events::Rule", {"EventPattern": pattern})}, **LOOPING)

    (change,) = compare(rule(["one"]), rule(["two"])).stages[-1].stacks[0].changes
    assert change.properties == ("EventPattern.one", "EventPattern.two")
    assert "unresolved" in {found.kind for found in compare(rule(["one"]), rule({"Ref": "Names"})).findings}


def test_macro_among_the_resources_is_reported() -> None:
    def with_macro(location: str) -> Assembly:
        macro: dict[str, Any] = {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": location}}}
        return of({"Topic": resource("AWS::SNS::Topic"), **macro})

    findings = compare(with_macro("s3://a/one"), with_macro("s3://a/two")).findings

    assert [finding.kind for finding in findings] == ["rewritten"]


# Permissions
# -----------


@pytest.mark.parametrize(
    ("policies", "statement"),
    [
        ([{"Ref": "Given"}], None),
        ([], {"Effect": "Allow", "Action": {"Ref": "Given"}, "Resource": "arn:aws:s3:::a"}),
    ],
)
def test_permission_known_only_at_deployment_is_reported(policies: Any, statement: Any) -> None:
    # Given a role with a policy that is only known at deployment
    def role(*arns: Any, statements: Any = ()) -> Assembly:
        inline = [{"PolicyName": "a", "PolicyDocument": {"Statement": list(statements)}}]
        properties = {"ManagedPolicyArns": list(arns), "Policies": inline}
        return of({"Role": resource("AWS::IAM::Role", properties)}, Parameters=PARAMETERS)

    after = role(*policies, statements=[statement] if statement else [])

    (finding,) = (each for each in compare(role(), after).findings if each.kind == "access-widened")

    assert finding.severity == Severity.HIGH
