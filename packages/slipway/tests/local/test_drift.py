"""Drift on an emulated account: manual changes are reported, read with the role of an environment."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Template

import specimen
from infrastructure.matrix import changed
from local.bare import Account, emulated_account
from slipway.delivery.drift import DriftRole
from slipway.delivery.runtime.drift import detect_drift
from slipway.emulator.server import Credentials

ENVIRONMENT = changed(specimen.PROD, {"drift": {"hour_utc": 3}})
STACK = f"{ENVIRONMENT.name}-catalog-compute"
_TRUST = {"Service": "lambda.amazonaws.com"}


account = emulated_account(ENVIRONMENT.account, ENVIRONMENT.region)


def _template(bucket: str) -> dict[str, Any]:
    """Return a stack of resources that drift often."""
    trust = {"Statement": [{"Effect": "Allow", "Principal": _TRUST, "Action": "sts:AssumeRole"}]}
    function = {
        "Runtime": "python3.14",
        "Handler": "index.handler",
        "MemorySize": 256,
        "Timeout": 30,
        "Role": {"Fn::GetAtt": ["Role", "Arn"]},
        "Code": {"S3Bucket": bucket, "S3Key": "code.zip"},
    }
    alarm = {
        "MetricName": "Errors",
        "Namespace": "AWS/Lambda",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    alias = {
        "FunctionName": {"Ref": "Api"},
        "FunctionVersion": {"Fn::GetAtt": ["Version", "Version"]},
        "Name": "live",
    }
    return {
        "Resources": {
            "Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}},
            "Api": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Version": {"Type": "AWS::Lambda::Version", "Properties": {"FunctionName": {"Ref": "Api"}}},
            "Live": {"Type": "AWS::Lambda::Alias", "Properties": alias},
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": 60}},
            "Errors": {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm},
        }
    }


@pytest.fixture(scope="module")
def deployed(account: Account) -> dict[str, str]:
    """Deploy the stack, and return physical ids by logical id."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return event\n")
    storage, formation = account.client("s3"), account.client("cloudformation")
    storage.create_bucket(Bucket="code")
    storage.put_object(Bucket="code", Key="code.zip", Body=content.getvalue())
    formation.create_stack(
        StackName=STACK, TemplateBody=json.dumps(_template("code")), Capabilities=["CAPABILITY_NAMED_IAM"]
    )
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    resources = formation.describe_stack_resources(StackName=STACK)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}


@pytest.fixture(scope="module")
def formation(account: Account) -> Any:
    """Return a CloudFormation client with the environment's role for drift detection."""
    stack = Stack(App(), "Foundation")
    DriftRole(stack, "Drift", environment=ENVIRONMENT)
    policies = Template.from_stack(stack).find_resources("AWS::IAM::ManagedPolicy").values()
    (document,) = [policy["Properties"]["PolicyDocument"] for policy in policies]
    text = json.dumps(document)
    for reference, value in (
        ("AWS::Partition", "aws"),
        ("AWS::Region", ENVIRONMENT.region),
        ("AWS::AccountId", ENVIRONMENT.account),
    ):
        text = text.replace(json.dumps({"Ref": reference}), json.dumps(value))
    for statement in (resolved := json.loads(text))["Statement"]:
        statement["Resource"] = [_joined(each) for each in _listed(statement["Resource"])]
    iam = account.client("iam")
    principal = {"AWS": f"arn:aws:iam::{ENVIRONMENT.account}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName="drift", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="drift", PolicyName="drift", PolicyDocument=json.dumps(resolved))
    given = account.client("sts").assume_role(RoleArn=role, RoleSessionName="drift")["Credentials"]
    credentials = Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return account.emulator.session(credentials).client("cloudformation")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _joined(value: Any) -> str:
    if isinstance(value, str):
        return value
    delimiter, parts = value["Fn::Join"]
    return str(delimiter.join(parts))


def _found(formation: Any) -> list[str]:
    report = detect_drift(formation, [STACK, f"{ENVIRONMENT.name}-catalog-data"], poll_seconds=0.1)
    assert report.unread == ()
    assert report.stacks == (STACK,)
    return [line.partition(": ")[2] for resource in report.drifted for line in resource.lines()]


def test_unchanged_resources_are_in_sync(deployed: dict[str, str], formation: Any) -> None:
    assert deployed
    assert _found(formation) == []


def test_each_manual_change_is_reported(account: Account, deployed: dict[str, str], formation: Any) -> None:
    # Given a function's memory, an alias, an alarm's threshold and a queue's timeout, changed manually
    functions, function = account.client("lambda"), deployed["Api"]
    functions.update_function_configuration(FunctionName=function, MemorySize=512)
    functions.publish_version(FunctionName=function)
    functions.update_alias(FunctionName=function, Name="live", FunctionVersion="2")
    alarms = account.client("cloudwatch")
    (alarm,) = alarms.describe_alarms(AlarmNames=[deployed["Errors"]])["MetricAlarms"]
    kept = ("AlarmName", "MetricName", "Namespace", "Statistic", "Period", "EvaluationPeriods", "ComparisonOperator")
    alarms.put_metric_alarm(**{key: alarm[key] for key in kept}, Threshold=500)
    queue = deployed["Queue"]
    account.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "5"})
    # When drift is detected, then resource, property, actual and expected value are reported
    assert sorted(_found(formation)) == sorted(
        [
            f"Api (AWS::Lambda::Function, {function}): /MemorySize is 512, not 256",
            f"Live (AWS::Lambda::Alias, {deployed['Live']}): /FunctionVersion is 2, not 1",
            f"Errors (AWS::CloudWatch::Alarm, {deployed['Errors']}): /Threshold is 500, not 5",
            f"Queue (AWS::SQS::Queue, {queue}): /VisibilityTimeout is 5, not 60",
        ]
    )


def test_a_deleted_resource_is_reported(account: Account, deployed: dict[str, str], formation: Any) -> None:
    account.client("sqs").delete_queue(QueueUrl=deployed["Queue"])
    assert f"Queue (AWS::SQS::Queue, {deployed['Queue']}) was deleted" in _found(formation)
