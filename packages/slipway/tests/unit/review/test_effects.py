"""A change takes effect as the registry's schemas say, and propagates to everything that uses a replaced value."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from slipway import project
from slipway.review.comparison import Change, Fate, compare
from slipway.review.schemas import ALSO_CREATE_ONLY, MAYBE_CREATE_ONLY, schema, values_at
from slipway.review.stateful import ADDRESSED, STATEFUL
from unit.review.assemblies import REGION, assembly, changed, of, resource, stack

ROOT = project.ROOT


def fate(before: dict[str, Any], after: dict[str, Any], logical_id: str) -> Change | None:
    found = [
        change
        for stage in changed(before, after).stages
        for one in stage.stacks
        for change in one.changes
        if change.resource.endswith(f"/{logical_id}")
    ]
    return found[0] if found else None


def _edit(kind: str, before: dict[str, Any], after: dict[str, Any]) -> Change | None:
    return fate({"It": resource(kind, before)}, {"It": resource(kind, after)}, "It")


@pytest.mark.parametrize(
    ("kind", "before", "after", "expected"),
    [
        ("AWS::SNS::Topic", {"TopicName": "a"}, {"TopicName": "b"}, Fate.REPLACED),
        ("AWS::SNS::Topic", {}, {"FifoTopic": True}, Fate.REPLACED),
        ("AWS::SNS::Topic", {"DisplayName": "a"}, {"DisplayName": "b"}, Fate.CHANGED),
        # A path below the first level
        (
            "AWS::ApiGateway::DomainName",
            {"EndpointConfiguration": {"Types": ["EDGE"]}},
            {"EndpointConfiguration": {"Types": ["EDGE"]}, "SecurityPolicy": "TLS_1_2"},
            Fate.CHANGED,
        ),
        # Conditionally
        ("AWS::Events::Rule", {"EventBusName": "a"}, {"EventBusName": "b"}, Fate.MAY_BE_REPLACED),
        # A property that names the resource, though the schema does not list it
        ("AWS::Lambda::EventInvokeConfig", {"FunctionName": "a"}, {"FunctionName": "b"}, Fate.REPLACED),
        # A type without updates is replaced by every change
        ("AWS::Lambda::Permission", {"Action": "a"}, {"Action": "b"}, Fate.REPLACED),
        # The handler of a custom resource decides
        ("Custom::Thing", {"ServiceToken": "a", "B": 1}, {"ServiceToken": "a", "B": 2}, Fate.MAY_BE_REPLACED),
        ("Custom::Thing", {"ServiceToken": "a"}, {"ServiceToken": "b"}, Fate.REPLACED),
        # Replacement documented in the user guide, but not in the schemas
        ("AWS::S3::Bucket", {}, {"ObjectLockEnabled": True}, Fate.REPLACED),
        ("AWS::DynamoDB::Table", {}, {"LocalSecondaryIndexes": [{"IndexName": "a"}]}, Fate.REPLACED),
        # A number equals the same number as a string
        ("AWS::SQS::Queue", {"QueueName": "1", "DelaySeconds": 1}, {"QueueName": 1, "DelaySeconds": 2}, Fate.CHANGED),
    ],
)
def test_effect_of_a_property_change(kind: str, before: dict[str, Any], after: dict[str, Any], expected: Fate) -> None:
    change = _edit(kind, before, after)

    assert change
    assert change.fate == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (["a"], [{"b": [{"c": 1}, {"c": 2}]}]),
        (["a", "b", "*", "c"], [1, 2]),
        (["a", "b", "c"], [1, 2]),
        (["a", "*", "*", "c"], [1, 2]),
        (["gone"], []),
        (["a", "b", "c", "d"], []),
    ],
)
def test_values_at_a_path_are_found(path: list[str], expected: list[Any]) -> None:
    assert values_at({"a": {"b": [{"c": 1}, {"c": 2}]}}, path) == expected


def test_lists_within_lists_are_compared() -> None:
    assert values_at({"a": [["x", "y"]]}, ["a"]) != values_at({"a": [["x"], ["y"]]}, ["a"])


TABLE = {"Table": resource("AWS::DynamoDB::Table", {"StreamSpecification": {"StreamViewType": "NEW_IMAGE"}})}
NAMED = {"Table": resource("AWS::DynamoDB::Table", {**TABLE["Table"]["Properties"], "TableName": "a"})}
MAPPING = {
    "Mapping": resource("AWS::Lambda::EventSourceMapping", {"EventSourceArn": {"Fn::GetAtt": ["Table", "StreamArn"]}})
}
TARGET = {
    "Target": resource("AWS::ApplicationAutoScaling::ScalableTarget", {"ResourceId": {"Fn::Sub": "table/${Table}"}})
}
POLICY = {
    "Policy": resource(
        "AWS::ApplicationAutoScaling::ScalingPolicy", {"ScalingTargetId": {"Ref": "Target"}, "PolicyName": "a"}
    )
}
FUNCTION = {"Function": resource("AWS::Lambda::Function", {"Environment": {"Variables": {"TABLE": {"Ref": "Table"}}}})}
EVERYTHING = {**MAPPING, **TARGET, **POLICY, **FUNCTION}


@pytest.mark.parametrize(
    ("logical_id", "expected"),
    [("Mapping", Fate.REPLACED), ("Target", Fate.REPLACED), ("Policy", Fate.REPLACED), ("Function", Fate.CHANGED)],
)
def test_a_replacement_propagates(logical_id: str, expected: Fate) -> None:
    # Given a table that is replaced, and resources that use its attributes directly or indirectly
    change = fate({**TABLE, **EVERYTHING}, {**NAMED, **EVERYTHING}, logical_id)

    assert change
    assert change.fate == expected
    assert change.causes


def test_a_replacement_propagates_to_other_stacks() -> None:
    # Given a reader in another stack, through a weak reference
    outputs = {"Stream": {"Value": {"Fn::GetAtt": ["Table", "StreamArn"]}}}
    weak = {"Fn::GetStackOutput": {"StackName": "prod-items-data", "OutputName": "Stream"}}
    reader = stack(
        {"Mapping": resource("AWS::Lambda::EventSourceMapping", {"EventSourceArn": weak})}, name="prod-items-compute"
    )

    (stage,) = compare(
        assembly(stack(TABLE, Outputs=outputs), reader), assembly(stack(NAMED, Outputs=outputs), reader)
    ).stages

    assert {(one.name, change.fate) for one in stage.stacks for change in one.changes} == {
        ("prod-items-data", Fate.REPLACED),
        ("prod-items-compute", Fate.REPLACED),
    }


def test_update_propagates_only_where_an_attribute_may_change() -> None:
    # Given a table that is updated in place
    tagged = {"Table": resource("AWS::DynamoDB::Table", {**TABLE["Table"]["Properties"], "TableClass": "STANDARD"})}
    assert fate({**TABLE, **EVERYTHING}, {**tagged, **EVERYTHING}, "Mapping") is None

    # Then only a changed stream specification affects the reader of its stream
    other = {"Table": resource("AWS::DynamoDB::Table", {"StreamSpecification": {"StreamViewType": "KEYS_ONLY"}})}
    change = fate({**TABLE, **EVERYTHING}, {**other, **EVERYTHING}, "Mapping")
    assert change
    assert change.fate == Fate.MAY_BE_REPLACED


def test_a_possible_replacement_propagates_as_possible() -> None:
    rule = {"Rule": resource("AWS::Events::Rule", {"EventBusName": "a"})}
    other = {"Rule": resource("AWS::Events::Rule", {"EventBusName": "b"})}
    taker = {"Topic": resource("AWS::SNS::Topic", {"TopicName": {"Ref": "Rule"}})}

    change = fate({**rule, **taker}, {**other, **taker}, "Topic")
    assert change
    assert change.fate == Fate.MAY_BE_REPLACED


def test_new_code_is_listed_but_is_not_a_change() -> None:
    # Given a function and a layer of which only the assets differ
    one, other = "a" * 64, "b" * 64

    def built(digest: str) -> dict[str, Any]:
        code = {"S3Bucket": "assets", "S3Key": f"{digest}.zip"}
        return {
            "Function": resource("AWS::Lambda::Function", {"Code": code, "Layers": [{"Ref": "Layer"}]}),
            "Layer": resource("AWS::Lambda::LayerVersion", {"Content": code}),
            f"Version{digest[:4]}": resource(
                "AWS::Lambda::Version", {"FunctionName": {"Ref": "Function"}}, DeletionPolicy="Retain"
            ),
            "Live": resource(
                "AWS::Lambda::Alias",
                {
                    "FunctionName": {"Ref": "Function"},
                    "FunctionVersion": {"Fn::GetAtt": [f"Version{digest[:4]}", "Version"]},
                    "Name": "live",
                },
            ),
        }

    comparison = compare(of(built(one), assets=frozenset({one})), of(built(other), assets=frozenset({other})))

    assert not comparison.findings
    assert not any(stage.stacks for stage in comparison.stages)
    assert (comparison.code.functions, comparison.code.layers, comparison.code.versions) == (1, 1, 1)
    assert str(comparison.code) == "new code for 1 function and 1 layer version"


def test_code_without_an_asset_is_a_change() -> None:
    before, after = (
        {"F": resource("AWS::Lambda::Function", {"Code": {"S3Key": key}})} for key in ("one.zip", "two.zip")
    )

    change = fate(before, after, "F")
    assert change
    assert change.properties == ("Code.S3Key",)


def test_cdk_metadata_is_not_a_change() -> None:
    before, after = (
        {"It": resource("AWS::SNS::Topic", Metadata={"aws:cdk:path": path, "mine": "a"})} for path in ("a", "b")
    )
    assert fate(before, after, "It") is None
    after["It"]["Metadata"]["mine"] = "b"
    change = fate(before, after, "It")
    assert change
    assert change.properties == ("Metadata",)


def test_resource_under_a_false_condition_does_not_exist() -> None:
    conditions = {"Never": {"Fn::Equals": ["a", "b"]}}
    topic = {"It": resource("AWS::SNS::Topic", Condition="Never")}

    comparison = compare(
        of({"Other": resource("AWS::SNS::Topic")}),
        of({**topic, "Other": resource("AWS::SNS::Topic")}, Conditions=conditions),
    )
    assert comparison.is_empty


@pytest.mark.parametrize("kind", sorted({*STATEFUL, *ADDRESSED}))
def test_every_type_that_matters_has_a_schema(kind: str) -> None:
    # A type without a schema could only be reported as unknown
    retired = {"AWS::QLDB::Ledger", "AWS::S3Express::DirectoryBucket", "AWS::SDB::Domain", "AWS::MSK::Cluster"}
    assert schema(kind, REGION) or kind in retired


def test_what_the_user_guide_says_besides_the_schemas_is_known() -> None:
    # Given the user guide's data in the CDK CLI, for stateful types and those that this project uses
    with gzip.open(ROOT / "node_modules" / "aws-cdk" / "db.json.gz") as file:
        entities = json.load(file)["schema"]["resource"]["entities"]
    known = {*STATEFUL, *ADDRESSED, *ALSO_CREATE_ONLY, *MAYBE_CREATE_ONLY}
    seen = 0
    for entity in entities:
        kind = entity["cloudFormationType"]
        rules = schema(kind, REGION) if kind in known else None
        if rules is None:
            continue
        seen += 1
        replaced = {path[0] for path in rules.create_only}
        maybe = {path[0] for path in rules.maybe_create_only}
        for name, definition in entity["properties"].items():
            said = definition.get("causesReplacement")
            # Our templates set neither of them
            if name in {"Tags", "WithExpressConfiguration"}:
                continue
            if said in {"yes", "maybe"}:
                assert name in replaced | maybe, (kind, name)
    assert seen > 40
