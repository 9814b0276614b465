"""An emulated account refuses what AWS refuses, tested with its own functions and resources."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.bare import LOGS, Account, allow, emulated_account, until
from slipway.emulator.partition import Partition
from slipway.emulator.partition.router import Session
from slipway.emulator.server import Credentials
from slipway.errors import RehearsalError
from slipway.rehearsal.player.artifacts import ArtifactStore

ECHO = "def handler(event, context):\n    print('hello')\n    return event\n"
FAIL = "def handler(event, context):\n    raise ValueError('no')\n"
NAP = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"


account = emulated_account()


def refused(account: Account, name: str) -> set[str]:
    """Return the calls that were refused for a function."""
    attribute = {"AttributeKey": "Username", "AttributeValue": name}
    events = account.client("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"]
    return {event["EventName"] for event in events}


# --- Logs, variables, traces ---


@pytest.mark.parametrize("missing", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_log_is_written_only_if_the_role_may(account: Account, missing: str) -> None:
    role = account.role(allow("*", *({"logs:CreateLogStream", "logs:PutLogEvents"} - {missing})))
    function = account.function(role, ECHO)
    assert account.invoke(function, 1) == 1
    groups = account.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function}")["logGroups"]
    assert groups == []
    assert refused(account, function) == {missing.partition(":")[2]}
    # When the role has both permissions
    account.permit(role, LOGS)
    account.invoke(function, 1)
    events = account.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    assert "hello" in {event["message"] for event in events}


def test_variables_under_a_key_need_decrypt(account: Account) -> None:
    key = account.key()
    role = account.role(LOGS)
    function = account.function(role, ECHO, KMSKeyArn=key, Environment={"Variables": {"NAME": "value"}})
    with pytest.raises(ClientError, match="unable to decrypt the environment variables") as refusal:
        account.invoke(function, 1)
    assert refusal.value.response["Error"]["Code"] == "KMSAccessDeniedException"
    account.permit(role, LOGS, allow(key, "kms:Decrypt"))
    assert account.invoke(function, 1) == 1


# --- Encrypted tables, queues, buckets and secrets ---


def caller(account: Account, *statements: Any) -> Account:
    """Return the account as seen by a user with these statements."""
    iam, name = account.client("iam"), f"user-{uuid4().hex[:12]}"
    iam.create_user(UserName=name)
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_user_policy(UserName=name, PolicyName="policy", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = account.emulator.session(Credentials(key["AccessKeyId"], key["SecretAccessKey"]))

    class Caller(Account):
        def client(self, service: Any) -> Any:
            return session.client(service)

    return Caller(account.emulator)


def test_a_message_under_a_key_needs_a_data_key(account: Account) -> None:
    key = account.key()
    url, arn = account.queue(KmsMasterKeyId=key)
    with pytest.raises(ClientError, match="kms:GenerateDataKey") as refusal:
        caller(account, allow(arn, "sqs:SendMessage")).client("sqs").send_message(QueueUrl=url, MessageBody="x")
    assert refusal.value.response["Error"]["Code"] == "KMS.AccessDeniedException"
    both = caller(account, allow(arn, "sqs:SendMessage"), allow(key, "kms:GenerateDataKey", "kms:Decrypt"))
    both.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        caller(account, allow(arn, "sqs:ReceiveMessage")).client("sqs").receive_message(QueueUrl=url)


def test_an_item_under_a_key_needs_decrypt(account: Account) -> None:
    key, name = account.key(), f"table-{uuid4().hex[:8]}"
    properties = {
        "TableName": name,
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    }
    assert account.deploy(name, {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}) is None
    arn, item = account.arn("dynamodb", f"table/{name}"), {"id": {"S": "1"}}
    with pytest.raises(ClientError, match="kms:Decrypt") as refusal:
        caller(account, allow(arn, "dynamodb:PutItem")).client("dynamodb").put_item(TableName=name, Item=item)
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    both = caller(account, allow(arn, "dynamodb:PutItem"), allow(key, "kms:Decrypt"))
    both.client("dynamodb").put_item(TableName=name, Item=item)


def test_an_object_under_a_key_needs_the_key(account: Account) -> None:
    key, name = account.key(), f"bucket-{uuid4().hex[:8]}"
    rule = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    encryption = {"ServerSideEncryptionConfiguration": [rule]}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, "BucketEncryption": encryption}}
    assert account.deploy(name, {"Bucket": bucket}) is None
    objects = f"arn:aws:s3:::{name}/*"
    with pytest.raises(ClientError, match="kms:GenerateDataKey"):
        caller(account, allow(objects, "s3:PutObject")).client("s3").put_object(Bucket=name, Key="a", Body=b"x")
    writer = caller(account, allow(objects, "s3:PutObject"), allow(key, "kms:GenerateDataKey"))
    writer.client("s3").put_object(Bucket=name, Key="a", Body=b"x")
    with pytest.raises(ClientError, match="kms:Decrypt"):
        caller(account, allow(objects, "s3:GetObject")).client("s3").get_object(Bucket=name, Key="a")


class Elsewhere:
    """Replaces the partition for one role of another account whose own policies allow everything."""

    ACCOUNT = "555555555555"

    def session_of(self, credentials: Credentials) -> Session:
        return Session(self.ACCOUNT, "deploy", "session", credentials)

    def allowed(self, *request: Any) -> bool:
        return True


@pytest.mark.parametrize("granted", [True, False])
def test_an_artifact_across_accounts_needs_the_policy_of_its_key(
    account: Account, tmp_path: Path, granted: bool
) -> None:
    # Given an encrypted bucket that allows a role of another account to read
    key, name = account.key(), f"artifacts-{uuid4().hex[:8]}"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    encryption = {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": default}]}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name, "BucketEncryption": encryption}}
    assert account.deploy(name, {"Bucket": bucket}) is None
    stranger = {"AWS": f"arn:aws:iam::{Elsewhere.ACCOUNT}:root"}
    reads = {**allow(f"arn:aws:s3:::{name}/*", "s3:GetObject"), "Principal": stranger}
    account.client("s3").put_bucket_policy(Bucket=name, Policy=json.dumps({"Statement": [reads]}))
    if granted:
        document = json.loads(account.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"])
        document["Statement"].append({**allow("*", "kms:Decrypt"), "Principal": stranger})
        account.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(document))
    account.client("s3").put_object(Bucket=name, Key="a.zip", Body=b"content")
    store = ArtifactStore(account.emulator, name, cast("Partition", Elsewhere()))
    # When the role reads an artifact, then it also needs the key's policy
    with nullcontext() if granted else pytest.raises(RehearsalError, match="by the policy of the key"):
        store.get("a.zip", tmp_path / "a.zip", Credentials("ASIA", "secret", "token"))
    assert (tmp_path / "a.zip").exists() is granted


def test_a_missing_object_is_forbidden_without_list_permission(account: Account) -> None:
    name = f"bucket-{uuid4().hex[:8]}"
    account.client("s3").create_bucket(Bucket=name)
    reads = allow(f"arn:aws:s3:::{name}/*", "s3:GetObject")
    with pytest.raises(ClientError, match="s3:ListBucket") as refusal:
        caller(account, reads).client("s3").get_object(Bucket=name, Key="missing")
    assert refusal.value.response["Error"]["Code"] == "AccessDenied"
    lists = allow(f"arn:aws:s3:::{name}", "s3:ListBucket")
    with pytest.raises(ClientError) as refusal:
        caller(account, reads, lists).client("s3").get_object(Bucket=name, Key="missing")
    assert refusal.value.response["Error"]["Code"] == "NoSuchKey"


def test_a_secret_under_a_key_needs_decrypt(account: Account) -> None:
    key = account.key()
    secrets = account.client("secretsmanager")
    arn = secrets.create_secret(Name=f"secret-{uuid4().hex[:8]}", SecretString="x", KmsKeyId=key)["ARN"]
    reader = caller(account, allow(arn, "secretsmanager:GetSecretValue"))
    with pytest.raises(ClientError, match="Access to KMS is not allowed"):
        reader.client("secretsmanager").get_secret_value(SecretId=arn)
    both = caller(account, allow(arn, "secretsmanager:GetSecretValue"), allow(key, "kms:Decrypt"))
    assert both.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"] == "x"


# --- Queues and streams ---


QUEUE_READS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")


def test_a_mapping_needs_a_role_that_may_read(account: Account) -> None:
    _, arn = account.queue()
    function = account.function(account.role(LOGS, allow(arn, *QUEUE_READS[:2])), ECHO)
    with pytest.raises(ClientError, match="does not have permissions to call GetQueueAttributes on SQS"):
        account.client("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=arn)


def test_a_queue_is_not_read_once_the_role_may_not(account: Account) -> None:
    url, arn = account.queue(VisibilityTimeout="1")
    role = account.role(LOGS, allow(arn, *QUEUE_READS))
    function = account.function(role, ECHO)
    account.client("lambda").create_event_source_mapping(FunctionName=function, EventSourceArn=arn)
    # When the role may no longer read
    account.permit(role, LOGS)
    account.client("sqs").send_message(QueueUrl=url, MessageBody="kept")
    until(lambda: "ReceiveMessage" in refused(account, function))
    # Then the message waits until it may again
    assert account.messages(url) == ["kept"]
    account.permit(role, LOGS, allow(arn, *QUEUE_READS))
    until(lambda: not account.messages(url) and not account.messages(url))


def test_failed_messages_of_a_batch_are_delivered_again(account: Account) -> None:
    # Given a function that fails on one of its messages the first time
    code = (
        "seen = set()\n"
        "def handler(event, context):\n"
        "    first = [r for r in event['Records'] if r['body'] == 'bad' and r['messageId'] not in seen]\n"
        "    seen.update(r['messageId'] for r in first)\n"
        "    print('batch', sorted(r['body'] for r in event['Records']))\n"
        "    return {'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in first]}\n"
    )
    url, arn = account.queue(VisibilityTimeout="5")
    function = account.function(account.role(LOGS, allow(arn, *QUEUE_READS)), code)
    sqs = account.client("sqs")
    for body in ("good", "bad", "better"):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    # When the messages arrive together
    account.client("lambda").create_event_source_mapping(
        FunctionName=function, EventSourceArn=arn, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    # Then only that one is delivered again
    assert until(lambda: batches(account, function, 2)) == [["bad", "better", "good"], ["bad"]]


def batches(account: Account, function: str, count: int) -> list[Any] | None:
    """Return the batches that a function printed, once there are `count` of them."""
    logs = account.client("logs")
    try:
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{function}")["events"]
    except logs.exceptions.ResourceNotFoundException:
        return None
    printed = [event["message"] for event in events if event["message"].startswith("batch ")]
    found = [json.loads(text.removeprefix("batch ").replace("'", '"')) for text in printed]
    return found if len(found) >= count else None


STREAM_READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")


def streamed(account: Account) -> tuple[str, str]:
    """Create a table, and return its name and the ARN of its stream."""
    name = f"table-{uuid4().hex[:8]}"
    table = account.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    return name, table["LatestStreamArn"]


def put(account: Account, table: str, *ids: str) -> None:
    for name in ids:
        account.client("dynamodb").put_item(TableName=table, Item={"id": {"S": name}})


IDS = "[r['dynamodb']['Keys']['id']['S'] for r in event['Records']]"


def test_a_stream_resumes_at_its_first_failure(account: Account) -> None:
    # Given a function that fails once, on the second of its records
    code = (
        "failed = []\n"
        "def handler(event, context):\n"
        f"    ids = {IDS}\n"
        "    print('batch', ids)\n"
        "    if 'b' in ids and not failed:\n"
        "        failed.append(event['Records'][ids.index('b')]['dynamodb']['SequenceNumber'])\n"
        "        return {'batchItemFailures': [{'itemIdentifier': failed[0]}]}\n"
    )
    table, stream = streamed(account)
    reads = (allow(stream, *STREAM_READS), allow("*", "dynamodb:ListStreams"))
    function = account.function(account.role(LOGS, *reads), code)
    put(account, table, "a", "b", "c")
    # When it reads the records in one batch
    account.client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=stream,
        StartingPosition="TRIM_HORIZON",
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    # Then the failed record and all later ones are delivered again
    assert until(lambda: batches(account, function, 2)) == [["a", "b", "c"], ["b", "c"]]


def test_a_failing_batch_is_split_until_the_poison_record_remains(account: Account) -> None:
    # Given a function that always fails on one record
    code = f"def handler(event, context):\n    ids = {IDS}\n    print('batch', ids)\n    assert 'b' not in ids\n"
    table, stream = streamed(account)
    url, queue = account.queue()
    reads = (allow(stream, *STREAM_READS), allow("*", "dynamodb:ListStreams"))
    role = account.role(LOGS, *reads, allow(queue, "sqs:SendMessage"))
    function = account.function(role, code)
    put(account, table, "a", "b", "c", "d")
    # When it reads the records in one batch
    account.client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=stream,
        StartingPosition="TRIM_HORIZON",
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    # Then the others are processed, and that one is in the dead letters after its retry
    (letter,) = until(lambda: account.messages(url))
    found = json.loads(letter)
    assert found["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert found["DDBStreamBatchInfo"]["batchSize"] == 1
    expected = [["a", "b", "c", "d"], ["a", "b"], ["a"], ["b"], ["b"], ["c", "d"]]
    assert until(lambda: batches(account, function, len(expected))) == expected


# --- Asynchronous invocations ---


def test_a_failed_event_needs_a_role_that_may_send(account: Account) -> None:
    url, queue = account.queue()
    role = account.role(LOGS)
    function = account.function(role, FAIL)
    functions = account.client("lambda")
    functions.put_function_event_invoke_config(
        FunctionName=function, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    functions.invoke(FunctionName=function, InvocationType="Event", Payload=b'"lost"')
    until(lambda: "SendMessage" in refused(account, function))
    account.permit(role, LOGS, allow(queue, "sqs:SendMessage"))
    functions.invoke(FunctionName=function, InvocationType="Event", Payload=b'"kept"')
    (letter,) = until(lambda: account.messages(url))
    assert json.loads(letter)["requestPayload"] == "kept"


# --- Concurrency ---


@pytest.mark.requirement("functions")
def test_reserved_concurrency_is_shared_by_all_versions(account: Account) -> None:
    function = account.function(account.role(LOGS), NAP)
    functions = account.client("lambda")
    version = functions.publish_version(FunctionName=function)["Version"]
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=1)
    with ThreadPoolExecutor(1) as pool:
        # Given one version that is running
        busy = pool.submit(account.invoke, function, 3, Qualifier=version)
        until(lambda: account.emulator.environments(f"{function}-"))
        time.sleep(0.5)
        # When the other version is called by a client without retries
        once = account.emulator.session().client("lambda", config=Config(retries={"total_max_attempts": 1}))
        with pytest.raises(ClientError) as refusal:
            once.invoke(FunctionName=function, Payload=b"0")
        assert busy.result() == 3
    # Then it is throttled with AWS's error
    answer: Any = refusal.value.response
    assert answer["Error"]["Code"] == "TooManyRequestsException"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert answer["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


def test_a_throttled_batch_counts_as_received(account: Account) -> None:
    url, arn = account.queue(VisibilityTimeout="1")
    function = account.function(account.role(LOGS, allow(arn, *QUEUE_READS)), ECHO, Timeout=1)
    functions = account.client("lambda")
    functions.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    account.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    functions.create_event_source_mapping(FunctionName=function, EventSourceArn=arn)

    def receives() -> int:
        found = account.client("sqs").receive_message(
            QueueUrl=url, VisibilityTimeout=0, AttributeNames=["ApproximateReceiveCount"]
        )
        counts = [int(message["Attributes"]["ApproximateReceiveCount"]) for message in found.get("Messages", [])]
        return counts[0] if counts and counts[0] > 2 else 0

    assert until(receives)


# --- Topics ---


def test_an_alarm_publishes_only_where_the_topic_allows_it(account: Account) -> None:
    sns, cloudwatch = account.client("sns"), account.client("cloudwatch")
    topic = sns.create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"]
    url, queue = account.queue()
    policy = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
        }
    }
    account.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    # Given a policy that denies plain HTTP and allows no service
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [deny]}))
    alarm = f"alarm-{uuid4().hex[:8]}"
    cloudwatch.put_metric_alarm(
        AlarmName=alarm,
        AlarmActions=[topic],
        MetricName="Errors",
        Namespace="Test",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    # When the alarm triggers
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    # Then nothing is published, and the alarm's history has the reason
    history = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action")["AlarmHistoryItems"]
    assert "CloudWatch Alarms is not authorized to perform: SNS:Publish" in history[0]["HistorySummary"]
    assert account.messages(url) == []
    # When the topic's policy allows CloudWatch
    let = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
        "Condition": {"ArnLike": {"aws:SourceArn": account.arn("cloudwatch", "alarm:*")}},
    }
    sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [deny, let]})
    )
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="test")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="test")
    assert until(lambda: account.messages(url))


def test_an_alarm_needs_the_key_of_its_topic(account: Account) -> None:
    sns, cloudwatch = account.client("sns"), account.client("cloudwatch")
    alarm = f"alarm-{uuid4().hex[:8]}"

    def published(key: str) -> str:
        """Return what the alarm's history says about a topic encrypted with a key."""
        name = f"topic-{uuid4().hex[:8]}"
        topic = sns.create_topic(Name=name, Attributes={"KmsMasterKeyId": key})["TopicArn"]
        cloudwatch.put_metric_alarm(
            AlarmName=alarm,
            AlarmActions=[topic],
            MetricName="Errors",
            Namespace="Test",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
        for state in ("OK", "ALARM"):
            cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="test")
        history = cloudwatch.describe_alarm_history(AlarmName=alarm, HistoryItemType="Action")["AlarmHistoryItems"]
        return str(next(item["HistorySummary"] for item in history if name in item["HistorySummary"]))

    assert "does not have authorization to access the SNS topic encryption key" in published(account.key())
    assert published(account.key("cloudwatch.amazonaws.com")).startswith("Successfully executed action")


ROTATE = (
    "import boto3, json\n"
    "def handler(event, context):\n"
    "    secrets, arn, token = boto3.client('secretsmanager'), event['SecretId'], event['ClientRequestToken']\n"
    "    if event['Step'] == 'createSecret':\n"
    "        try:\n"
    "            secrets.get_secret_value(SecretId=arn, VersionId=token, VersionStage='AWSPENDING')\n"
    "        except secrets.exceptions.ResourceNotFoundException:\n"
    "            secrets.put_secret_value(\n"
    "                SecretId=arn, ClientRequestToken=token, SecretString='new', VersionStages=['AWSPENDING'])\n"
    "    if event['Step'] == 'finishSecret':\n"
    "        stages = secrets.describe_secret(SecretId=arn)['VersionIdsToStages']\n"
    "        (current,) = (version for version, names in stages.items() if 'AWSCURRENT' in names)\n"
    "        secrets.update_secret_version_stage(\n"
    "            SecretId=arn, VersionStage='AWSCURRENT', MoveToVersionId=token, RemoveFromVersionId=current)\n"
)


def test_a_secret_rotates_by_its_functions_steps(account: Account) -> None:
    secrets, functions = account.client("secretsmanager"), account.client("lambda")
    secret = secrets.create_secret(Name=f"secret-{uuid4().hex[:8]}", SecretString="old")["ARN"]
    steps = ("GetSecretValue", "PutSecretValue", "DescribeSecret", "UpdateSecretVersionStage")
    role = account.role(LOGS, allow(secret, *(f"secretsmanager:{step}" for step in steps)))
    function = account.function(role, ROTATE, Timeout=30)
    arn = account.arn("lambda", f"function:{function}")
    # Given a function that Secrets Manager may not invoke
    with pytest.raises(ClientError, match="Secrets Manager cannot invoke the specified Lambda function"):
        secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn)
    # When it may
    functions.add_permission(
        FunctionName=function,
        StatementId="rotation",
        Action="lambda:InvokeFunction",
        Principal="secretsmanager.amazonaws.com",
        SourceAccount=account.emulator.account,
    )
    secrets.rotate_secret(SecretId=secret, RotationLambdaARN=arn)
    # Then the function gives the secret a new value
    assert until(lambda: secrets.get_secret_value(SecretId=secret)["SecretString"] == "new")


def test_a_rule_publishes_only_where_the_topic_allows_it(account: Account) -> None:
    # A topic's default policy does not allow EventBridge
    sns, events = account.client("sns"), account.client("events")
    topic, rule = sns.create_topic(Name=f"topic-{uuid4().hex[:8]}")["TopicArn"], f"rule-{uuid4().hex[:8]}"
    arn = events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))["RuleArn"]
    events.put_targets(Rule=rule, Targets=[{"Id": "1", "Arn": topic}])
    events.put_events(Entries=[{"Source": rule, "DetailType": "test", "Detail": "{}"}])
    attribute = {"AttributeKey": "ResourceName", "AttributeValue": topic}
    found = until(lambda: account.client("cloudtrail").lookup_events(LookupAttributes=[attribute])["Events"])
    detail = json.loads(found[0]["CloudTrailEvent"])
    assert (detail["eventName"], detail["userIdentity"]["invokedBy"]) == ("Publish", "events.amazonaws.com")
    assert arn


# --- Stacks ---


def keyed(*indexes: tuple[str, str], **more: Any) -> dict[str, Any]:
    """Return a table with indexes, given by name and attribute."""
    attributes = {"id", *(key for _, key in indexes)}
    properties = {
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in sorted(attributes)],
        "BillingMode": "PAY_PER_REQUEST",
        **more,
    }
    if indexes:
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": name,
                "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for name, key in indexes
        ]
    return {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}


def test_changes_of_indexes_that_dynamodb_refuses(account: Account) -> None:
    stack = f"stack-{uuid4().hex[:8]}"
    assert account.deploy(stack, keyed(("first", "a"))) is None
    reason = account.deploy(stack, keyed(("first", "b")))
    assert "Cannot update GSI's properties" in str(reason)
    reason = account.deploy(stack, keyed(("other", "a")))
    assert "more than one GSI creation or deletion" in str(reason)
    assert account.deploy(stack, keyed(("first", "a"), ("second", "b"))) is None


def test_two_indexes_in_one_update_are_refused(account: Account) -> None:
    table, _ = streamed(account)
    create = [
        {
            "Create": {
                "IndexName": name,
                "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        }
        for name in ("first", "second")
    ]
    attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "first", "second")]
    with pytest.raises(ClientError, match="Only 1 online index") as refusal:
        account.client("dynamodb").update_table(
            TableName=table, AttributeDefinitions=attributes, GlobalSecondaryIndexUpdates=create
        )
    assert refusal.value.response["Error"]["Code"] == "LimitExceededException"


def test_a_protected_table_is_not_deleted(account: Account) -> None:
    stack = f"stack-{uuid4().hex[:8]}"
    assert account.deploy(stack, keyed(DeletionProtectionEnabled=True)) is None
    account.client("cloudformation").delete_stack(StackName=stack)
    assert "currently protected against deletion" in str(account.ended(stack))


def test_a_protected_pool_is_not_deleted(account: Account) -> None:
    cognito = account.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="pool", DeletionProtection="ACTIVE")["UserPool"]["Id"]
    with pytest.raises(ClientError, match="deletion protection is activated"):
        cognito.delete_user_pool(UserPoolId=pool)
    cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
    cognito.delete_user_pool(UserPoolId=pool)


@pytest.mark.parametrize(
    ("export", "value", "verb"), [("renamed", "queue", "deleted"), (None, "queue", "deleted"), ("name", "x", "updated")]
)
def test_an_export_in_use_may_not_change(account: Account, export: str | None, value: str, verb: str) -> None:
    unique = uuid4().hex[:8]
    queue: dict[str, Any] = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"queue-{unique}"}}}

    def exported(name: str | None, text: str) -> dict[str, Any]:
        output: dict[str, Any] = {"Value": text}
        return {"Out": {**output, **({"Export": {"Name": f"{name}-{unique}"}} if name else {})}}

    assert account.deploy(f"source-{unique}", queue, exported("name", "queue")) is None
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Fn::ImportValue": f"name-{unique}"}}}
    assert account.deploy(f"user-{unique}", {"Topic": topic}) is None
    # When the export changes in a way that the other stack's import forbids
    queue["Queue"]["Properties"]["VisibilityTimeout"] = "31"
    reason = account.deploy(f"source-{unique}", queue, exported(export, value))
    assert reason == f"Export name-{unique} cannot be {verb} as it is in use by user-{unique}"


def test_an_item_over_400_kb_is_refused(account: Account) -> None:
    table, _ = streamed(account)
    item = {"id": {"S": "1"}, "text": {"S": "x" * 400 * 1024}}
    with pytest.raises(ClientError, match="Item size has exceeded the maximum allowed size"):
        account.client("dynamodb").put_item(TableName=table, Item=item)


# --- Simulation of policies ---


@pytest.mark.parametrize(
    ("context", "decision"),
    [
        (("kms:ViaService", "s3.us-east-1.amazonaws.com"), "allowed"),
        (("kms:ViaService", "sqs.us-east-1.amazonaws.com"), "implicitDeny"),
        (None, "implicitDeny"),
    ],
)
def test_simulation_reads_the_context(account: Account, context: tuple[str, str] | None, decision: str) -> None:
    condition = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    role = account.role({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*", "Condition": condition})
    key, values = context or ("aws:RequestedRegion", "us-east-1")
    [result] = account.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=["kms:Decrypt"],
        ResourceArns=["arn:aws:kms:us-east-1:111111111111:key/other"],
        ContextEntries=[{"ContextKeyName": key, "ContextKeyValues": [values], "ContextKeyType": "string"}],
    )["EvaluationResults"]
    assert result["EvalDecision"] == decision
