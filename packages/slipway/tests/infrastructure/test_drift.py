"""The daily drift check: which roles check what and when, and who is notified; `local/test_drift.py` runs it."""

from __future__ import annotations

import json

from aws_cdk import App, Stack
from aws_cdk.assertions import Template

from infrastructure.matrix import SPECIMEN, changed
from infrastructure.pipelines import pipeline_of
from slipway.delivery.drift import DriftRole
from slipway.delivery.runtime.events import DRIFT_SOURCE

WATCHED = "watched and tested"
IAM_CHARACTERS = 6_144
"""Limit of a managed policy, without spaces:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""


def test_without_configuration_nothing_is_checked() -> None:
    rules = pipeline_of("committed").template.properties_of("AWS::Events::Rule")
    assert DRIFT_SOURCE not in json.dumps(rules)
    assert not [rule for rule in rules if str(rule.get("ScheduleExpression", "")).startswith("cron")]


def test_each_watched_environment_is_checked_daily() -> None:
    # Given a pipeline with two environments that are checked
    pipeline = pipeline_of(WATCHED)
    # When its schedules are read
    found = {}
    for rule in pipeline.template.properties_of("AWS::Events::Rule"):
        if str(rule.get("ScheduleExpression", "")).startswith("cron"):
            (target,) = rule["Targets"]
            order = json.loads(pipeline.text(target["Input"]).replace('{"Ref": "AWS::Partition"}', "aws"))
            found[order["environment"]] = (rule["ScheduleExpression"], order)
    # Then each has the environment's hour, the role in its account, and its stacks
    assert {name: schedule for name, (schedule, _) in found.items()} == {
        "dev": "cron(0 4 * * ? *)",
        "prod": "cron(0 3 * * ? *)",
    }
    for environment in pipeline.settings.environments:
        _, order = found[environment.name]
        assert order["region"] == environment.region
        assert order["role"].endswith(f":iam::{environment.account}:role/{environment.app}-{environment.name}-drift")
        assert order["stacks"][0] == f"{environment.name}-foundation"
        assert f"{environment.name}-catalog-compute" in order["stacks"]


def test_the_function_may_assume_those_roles_and_no_other() -> None:
    pipeline = pipeline_of(WATCHED)
    assumed = [
        pipeline.text(resource)
        for policy in pipeline.template.properties_of("AWS::IAM::ManagedPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "sts:AssumeRole" and "-drift" in json.dumps(statement)
        for resource in statement["Resource"]
    ]
    names = {f"{each.app}-{each.name}-drift" for each in pipeline.settings.environments}
    assert {text.rpartition("role/")[2] for text in assumed} == names


def test_findings_are_sent_to_the_notified_people() -> None:
    rules = pipeline_of(WATCHED).template.properties_of("AWS::Events::Rule")
    (rule,) = [rule for rule in rules if rule.get("EventPattern", {}).get("source") == [DRIFT_SOURCE]]
    assert "EventBusName" in rule
    assert any("ObservationNotify" in json.dumps(target["Arn"]) for target in rule["Targets"])


def test_the_role_reads_settings_but_no_data_or_secrets() -> None:
    # Given the role of an environment
    stack = Stack(App(), "Foundation")
    environment = changed(
        SPECIMEN.environment("prod"), {"drift": {}, "name": "production-emea", "region": "ap-southeast-2"}
    )
    DriftRole(stack, "Drift", environment=environment)
    template = Template.from_stack(stack)
    (policy,) = template.find_resources("AWS::IAM::ManagedPolicy").values()
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    actions = {
        action
        for statement in statements
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    # Then it cannot change anything or read data
    verbs = ("Batch", "Describe", "Detect", "GET", "Get", "List")
    assert all(action.partition(":")[2].startswith(verbs) for action in actions)
    assert not actions & {"dynamodb:GetItem", "s3:GetObject", "secretsmanager:GetSecretValue", "kms:Decrypt"}
    # And only the function in the tools account may assume it
    (role,) = template.find_resources("AWS::IAM::Role").values()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert "-pipeline-ObservationDrift*" in json.dumps(trust["Condition"]["ArnEquals"])
    # And its policy fits IAM's limit, even with a long name in a long region
    text = json.dumps(statements, separators=(",", ":"))
    for name, value in (("Partition", "aws"), ("Region", environment.region), ("AccountId", environment.account)):
        text = text.replace(f'",{{"Ref":"AWS::{name}"}},"', value)
    assert len(text.replace('{"Fn::Join":["",["', '"').replace('"]]}', '"')) < IAM_CHARACTERS
