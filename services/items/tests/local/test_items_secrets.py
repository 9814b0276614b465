"""What `items` keeps to itself: secrets, what clients send, and what is at rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import pytest

from services.items.tests.local.items import create, recycle
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.emulator.server import Credentials
from slipway.testing.emulated import Request, until

FUNCTIONS = (
    "ApiFunctionArn",
    "StreamFunctionArn",
    "RotationFunctionArn",
    "ApiHookFunctionArn",
    "StreamHookFunctionArn",
)


@pytest.fixture
def secret_values(session: Callable[..., boto3.Session], outputs: Outputs) -> list[str]:
    """Every value that the service's secrets have or had."""
    secrets = session().client("secretsmanager")
    found = []
    for arn in (outputs["items"]["CursorSecretArn"], outputs["items"]["OriginSecretArn"]):
        for version in secrets.describe_secret(SecretId=arn)["VersionIdsToStages"]:
            value = secrets.get_secret_value(SecretId=arn, VersionId=version)["SecretString"]
            found.extend(json.loads(value).values())
    assert len(found) >= 2
    return found


def logged(session: boto3.Session, since: float) -> dict[str, str]:
    """What came into the account's log groups since that moment; the emulator gives 10,000 events at most."""
    logs = session.client("logs")
    groups = [
        group["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    ]
    events = logs.get_paginator("filter_log_events")
    return {
        group: "\n".join(
            event["message"]
            for page in events.paginate(logGroupName=group, startTime=int(since * 1000))
            for event in page["events"]
        )
        for group in groups
    }


@pytest.mark.requirement("secrets")
def test_no_secret_is_in_function_output_or_template(
    local: LocalEnvironment, session: Callable[..., boto3.Session], outputs: Outputs, secret_values: list[str]
) -> None:
    functions, formation = session().client("lambda"), session().client("cloudformation")
    # Given all that can be read about the service without reading its secrets
    said = {
        name: json.dumps(functions.get_function(FunctionName=outputs["items"][name]), default=str) for name in FUNCTIONS
    }
    said["outputs"] = json.dumps(outputs)
    for stack in formation.describe_stacks()["Stacks"]:
        template = formation.get_template(StackName=stack["StackName"])["TemplateBody"]
        said[stack["StackName"]] = json.dumps([template, stack], default=str)
    said["what was synthesized"] = "".join(
        file.read_text(encoding="utf-8") for file in (local.folder / "assembly").rglob("*.json")
    )
    # Then none of it holds a value of a secret
    assert [(where, value) for where, text in said.items() for value in secret_values if value in text] == []


@pytest.mark.requirement("secrets")
def test_no_log_holds_what_a_client_sent(  # noqa: PLR0917  # pytest passes fixtures by name
    signed: Request,
    edge: Request,
    unsigned: Request,
    session: Callable[..., boto3.Session],
    caller: Credentials,
    secret_values: list[str],
) -> None:
    # Given requests with words of their own in the body and the headers, some good, some bad
    start = time.time()
    canary = f"canary{uuid4().hex}"
    fields = {
        "name": f"{canary} name",
        "description": f"{canary} description",
        "data": {f"{canary} key": f"{canary} value"},
    }
    headers = {"Idempotency-Key": f"{canary}-key", "X-Token": f"{canary}-token", "Cookie": f"session={canary}"}
    good = signed("POST", "/items", json=fields, headers=headers)
    assert good.status_code == 201
    item = good.json()["id"]
    path = f"/items/{item}"
    signature = good.request.headers["authorization"].rpartition("=")[2]
    for status, response in (
        (201, signed("POST", "/items", json=fields, headers=headers)),
        (422, signed("POST", "/items", json=fields | {"description": canary}, headers=headers)),
        (400, signed("POST", "/items", json=fields | {"status": f"{canary} bad"}, headers=headers)),
        (400, signed("POST", "/items", json=fields | {f"{canary} unknown": 1})),
        (400, signed("POST", "/items", content=f'{{"name": "{canary}', headers={"Content-Type": "application/json"})),
        (412, signed("PUT", path, json=fields, headers={"If-Match": f'"{canary}"'})),
        (400, edge("GET", "/items", params={"cursor": canary}, headers={"Cookie": canary})),
        (200, edge("GET", path, headers={"If-None-Match": f'"{canary}"', "X-Token": canary})),
        (403, unsigned("GET", path, headers={"X-Origin-Verify": canary})),
        (200, signed("PUT", path, json=fields, headers={"If-Match": '"1"'})),
    ):
        assert response.status_code == status, response.text

    # When all of it was worked on, also what follows a creation
    until(lambda: sum(text.count(item) for text in logged(session(), start).values()) >= 3)
    texts = logged(session(), start)

    # Then no log tells of it
    kept_back = [canary, signature, caller.secret_access_key, *secret_values]
    assert [(group, word) for group, text in texts.items() for word in kept_back if word in text] == []
    # And what the functions wrote of their own is JSON, with the service's name
    functions = session().client("lambda").list_functions()["Functions"]
    groups = {function["LoggingConfig"]["LogGroup"] for function in functions}
    lines = [line for group in groups for line in texts[group].splitlines() if item in line]
    assert lines
    assert {json.loads(line)["service"] for line in lines} == {"items"}


@pytest.mark.requirement("secrets")
def test_a_secret_that_changed_is_seen_by_a_running_function(
    local: LocalEnvironment, unsigned: Request, session: Callable[..., boto3.Session], outputs: Outputs, signed: Request
) -> None:
    # Given a function that has read the origin's secret
    secrets, arn = session().client("secretsmanager"), outputs["items"]["OriginSecretArn"]
    path = f"/items/{create(signed)['id']}"
    recycle(local, outputs["items"]["ApiFunctionArn"])
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    assert unsigned("GET", path, headers={"X-Origin-Verify": json.loads(before)["header"]}).status_code == 200
    try:
        # When it changes
        secrets.put_secret_value(SecretId=arn, SecretString=json.dumps({"header": "n" * 32}))
        # Then the new value opens reads at once: what does not match makes the function look again
        assert unsigned("GET", path, headers={"X-Origin-Verify": "n" * 32}).status_code == 200
    finally:
        secrets.put_secret_value(SecretId=arn, SecretString=before)
        recycle(local, outputs["items"]["ApiFunctionArn"])


@pytest.mark.requirement("data at rest encrypted with it")
def test_what_is_at_rest_is_under_the_services_key(session: Callable[..., boto3.Session], outputs: Outputs) -> None:
    # What the emulator does not keep of a template, the templates' own tests show: keys of the tables, the bucket and
    # the topic, TTL, point-in-time recovery.
    root, values = session(), outputs["items"]
    key = values["KeyArn"]
    for name in ("CursorSecretArn", "OriginSecretArn"):
        assert root.client("secretsmanager").describe_secret(SecretId=values[name])["KmsKeyId"] == key
    queue = root.client("sqs").get_queue_attributes(QueueUrl=values["DeadLetterQueueUrl"], AttributeNames=["All"])
    assert queue["Attributes"]["KmsMasterKeyId"] == key
    groups = {
        group["logGroupName"]: group
        for page in root.client("logs").get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    }
    for name in FUNCTIONS:
        configuration = root.client("lambda").get_function_configuration(FunctionName=values[name])
        group = groups[configuration["LoggingConfig"]["LogGroup"]]
        assert (group["kmsKeyId"], group["retentionInDays"]) == (key, 7)
        assert configuration["LoggingConfig"]["LogFormat"] == "JSON"
    assert root.client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


@pytest.mark.requirement("buckets")
def test_the_bucket_is_closed_and_keeps_versions(
    session: Callable[..., boto3.Session], outputs: Outputs, http: Any, local: LocalEnvironment
) -> None:
    s3 = session().client("s3")
    for name in ("BucketName", "LogBucketName"):
        bucket = outputs["items"][name]
        block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert set(block.values()) == {True}
        assert http.get(f"{local.emulator.endpoint}/{bucket}").status_code in {401, 403}
    assert s3.get_bucket_versioning(Bucket=outputs["items"]["BucketName"])["Status"] == "Enabled"


@pytest.mark.requirement("the table")
def test_the_table_streams_new_and_old_images(session: Callable[..., boto3.Session], outputs: Outputs) -> None:
    table = session().client("dynamodb").describe_table(TableName=outputs["items"]["TableName"])["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@pytest.mark.requirement("functions")
def test_a_function_may_do_only_what_it_does(session: Callable[..., boto3.Session], outputs: Outputs) -> None:
    # Given the roles of the functions, and what each could be misused for
    root, values = session(), outputs["items"]
    forbidden = {
        "ApiFunctionArn": {
            "dynamodb:Scan": values["TableArn"],
            "dynamodb:DeleteTable": values["TableArn"],
            "s3:PutObject": f"arn:aws:s3:::{values['BucketName']}/items/1/metadata.json",
            "sns:Publish": values["NotificationTopicArn"],
            "secretsmanager:PutSecretValue": values["CursorSecretArn"],
        },
        "StreamFunctionArn": {
            "dynamodb:GetItem": values["TableArn"],
            "s3:GetObject": f"arn:aws:s3:::{values['BucketName']}/items/1/metadata.json",
            "s3:DeleteObject": f"arn:aws:s3:::{values['BucketName']}/items/1/metadata.json",
            "s3:PutObject": f"arn:aws:s3:::{values['BucketName']}/others/1",
            "secretsmanager:GetSecretValue": values["CursorSecretArn"],
        },
        "RotationFunctionArn": {
            "secretsmanager:GetSecretValue": values["OriginSecretArn"],
            "dynamodb:GetItem": values["TableArn"],
        },
        "ApiHookFunctionArn": {
            "lambda:InvokeFunction": values["StreamFunctionArn"],
            "lambda:UpdateFunctionCode": values["ApiFunctionArn"].rpartition(":")[0],
        },
    }
    iam, functions = root.client("iam"), root.client("lambda")
    for name, actions in forbidden.items():
        role = functions.get_function_configuration(FunctionName=values[name])["Role"]
        for action, resource in actions.items():
            # When IAM is asked
            answer = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=[action], ResourceArns=[resource])[
                "EvaluationResults"
            ]
            # Then the answer is no
            assert [result["EvalDecision"] for result in answer] == ["implicitDeny"], (name, action)
