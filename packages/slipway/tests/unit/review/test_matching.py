"""Resources are matched by logical id; renamed or moved ones by type and content."""

from __future__ import annotations

from typing import Any

from slipway.review.comparison import Comparison, Fate, compare
from unit.review.assemblies import assembly, changed, found, of, resource, stack
from unit.review.planted import READ, TABLE, allow, role


def fates(comparison: Comparison) -> dict[str, Fate]:
    return {
        change.resource.rpartition("/")[2]: change.fate
        for stage in comparison.stages
        for one in stage.stacks
        for change in one.changes
    }


def _named(name: str, resources: dict[str, Any]) -> dict[str, Any]:
    """Return the resources with other logical ids, and with their references adapted."""

    def renamed(value: Any) -> Any:
        match value:
            case {"Ref": str(logical_id)}:
                return {"Ref": f"{name}{logical_id}"}
            case {"Fn::GetAtt": [logical_id, attribute]}:
                return {"Fn::GetAtt": [f"{name}{logical_id}", attribute]}
            case dict():
                return {key: renamed(inner) for key, inner in value.items()}
            case list():
                return [renamed(inner) for inner in value]
        return value

    return {f"{name}{logical_id}": renamed(body) for logical_id, body in resources.items()}


def test_added_and_deleted_resources_are_reported() -> None:
    topic, queue = {"Topic": resource("AWS::SNS::Topic")}, {"Queue": resource("AWS::SQS::Queue")}

    assert fates(changed({**TABLE, **topic}, {**TABLE, **queue})) == {"Topic": Fate.REMOVED, "Queue": Fate.ADDED}


def test_renamed_stateful_resource_stops_the_change() -> None:
    (removed,) = found(TABLE, _named("New", TABLE), "stateful-removed")

    assert removed.severity == "critical"
    assert "orphan" in removed.details[0]
    assert "with Table (`overrideLogicalId`" in removed.advice
    assert "cdk refactor" in removed.advice


def test_a_renamed_role_does_not_look_like_new_permissions() -> None:
    # Given a role, its policy and a function with that role, all under other logical ids
    function = {"Function": resource("AWS::Lambda::Function", {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Timeout": 3})}
    before = {**role(READ), **function}

    comparison = changed(before, _named("New", before))

    assert set(fates(comparison).values()) == {Fate.RENAMED}
    assert not {finding.kind for finding in comparison.findings} & {"access-widened", "access-added", "trust-widened"}


def test_a_renamed_role_with_more_permissions_is_reported() -> None:
    before = role(READ)
    after = _named("New", role(allow("s3:*")))

    assert "access-widened" in {finding.kind for finding in found(before, after)}


def test_permissions_on_a_renamed_resource_are_unchanged() -> None:
    table = {"Table": resource("AWS::DynamoDB::Table", {"BillingMode": "PAY_PER_REQUEST", "TableClass": "STANDARD"})}

    def granted(name: str) -> dict[str, Any]:
        return role(allow("dynamodb:GetItem", {"Fn::GetAtt": [name, "Arn"]}))

    before = {**table, **granted("Table")}
    after = {"Other": table["Table"], **granted("Other")}
    assert not found(before, after, "access-widened")
    # But permissions on another resource are new
    beside = {"Beside": resource("AWS::DynamoDB::Table", {"TableName": "x", "StreamSpecification": {"a": "b"}})}
    assert found({**before, **beside}, {**before, **beside, **granted("Beside")}, "access-widened")


def test_different_resources_are_not_matched() -> None:
    before = {"One": resource("AWS::Lambda::Function", {"Handler": "a.b", "Timeout": 3, "MemorySize": 128})}
    after = {"Two": resource("AWS::Lambda::Function", {"Handler": "c.d", "Timeout": 9, "MemorySize": 512})}

    assert fates(changed(before, after)) == {"One": Fate.REMOVED, "Two": Fate.ADDED}


def test_similar_resources_are_matched_by_nearest_name() -> None:
    queue = resource("AWS::SQS::Queue", {"DelaySeconds": 1})

    renamed = {
        finding.resource.rpartition("/")[2]: finding.detail
        for finding in found(
            {"FirstQueue": queue, "OtherQueue": queue}, {"FirstLine": queue, "OtherLine": queue}, "renamed"
        )
    }
    assert renamed == {"FirstLine": "FirstQueue", "OtherLine": "OtherQueue"}


def test_a_resource_that_moves_to_another_stack_is_found() -> None:
    other = {"Topic": resource("AWS::SNS::Topic")}
    before = assembly(stack({**TABLE, **other}), stack(other, name="prod-items-compute"))
    after = assembly(stack(other), stack({**TABLE, **other}, name="prod-items-compute"))

    (finding,) = [finding for finding in compare(before, after).findings if finding.kind == "renamed"]
    assert "moves from prod-items-data to prod-items-compute" in finding.what
    assert "overrideLogicalId" not in finding.advice


def test_resources_of_other_accounts_do_not_match() -> None:
    other = {"Topic": resource("AWS::SNS::Topic")}
    before = assembly(stack({**TABLE, **other}), stack(other, name="dev-items-data", account="111111111111"))
    after = assembly(stack(other), stack({**TABLE, **other}, name="dev-items-data", account="111111111111"))

    kinds = [finding.kind for finding in compare(before, after).findings]
    assert "stateful-removed" in kinds
    assert "renamed" not in kinds


def test_resources_of_a_removed_stack_are_not_reported() -> None:
    # CDK Pipelines never deletes stacks
    other = stack({"Topic": resource("AWS::SNS::Topic")}, name="prod-items-compute")

    comparison = compare(assembly(stack(TABLE), other), assembly(other))
    assert [finding.kind for finding in comparison.findings] == ["stack-removed"]
    assert "items" in comparison.findings[0].details[0]


def test_order_of_resources_and_stacks_does_not_matter() -> None:
    # Given the same change in a different order
    before = {**TABLE, **role(READ), "Topic": resource("AWS::SNS::Topic")}
    after = {**role(allow("s3:*")), "Queue": resource("AWS::SQS::Queue")}
    one = compare(of(before), of(after)).findings
    other = compare(of(dict(reversed(before.items()))), of(dict(reversed(after.items())))).findings

    assert [finding.id for finding in one] == [finding.id for finding in other]


def test_a_renamed_alarm_is_renamed_and_not_loosened() -> None:
    def alarm(name: str) -> dict[str, Any]:
        same = {"Threshold": 1, "MetricName": "Errors", "Namespace": "AWS/Lambda", "Statistic": "Sum"}
        when = {"EvaluationPeriods": 1, "Period": 60, "ComparisonOperator": "GreaterThanThreshold"}
        return resource("AWS::CloudWatch::Alarm", {"AlarmName": name, **same, **when})

    findings = found({"One": alarm("a-51")}, {"Two": alarm("a-54")})

    assert [finding.kind for finding in findings] == ["renamed"]


def test_provider_removed_with_its_resources_is_harmless() -> None:
    provider = {"Provider": resource("AWS::Lambda::Function", {"Code": {"ZipFile": "-"}})}
    custom = {"Kept": resource("Custom::LogRetention", {"ServiceToken": {"Fn::GetAtt": ["Provider", "Arn"]}})}
    topic = {"Topic": resource("AWS::SNS::Topic")}

    assert {finding.kind for finding in found({**provider, **custom, **topic}, topic)} == {"unjudged"}
    # But deleting a provider that is used elsewhere, or without its resources, is reported
    called = {
        "Rule": resource("AWS::Events::Rule", {"Targets": [{"Arn": {"Fn::GetAtt": ["Provider", "Arn"]}, "Id": "1"}]})
    }
    assert "route-removed" in {finding.kind for finding in found({**provider, **custom, **called}, topic)}
    assert "route-removed" in {finding.kind for finding in found({**provider, **custom}, custom)}
