"""What AWS's services do in the name of a function's role: `make permissions` runs these without each permission."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import boto3
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.emulated import Request, refusals, until

SECONDS = 15
"""How long what a service does by itself may take on a busy machine."""

HOOKS = (
    *("ingest/ApiDeployment/Hook", "ingest/ProcessorDeployment/Hook", "ingest/WorkerDeployment/Hook"),
    *("items/ApiDeployment/Hook", "items/StreamDeployment/Hook"),
    *("processing/ApiDeployment/Hook", "processing/WorkerDeployment/Hook"),
)
ASYNCHRONOUS = (*HOOKS, "items/Rotation", "processing/TestUser/Function", "processing/WorkerFunction")


def exercising(*names: str) -> list[Any]:
    """A parameter for each function, marked as a test of it."""
    return [pytest.param(name, marks=pytest.mark.exercises(name), id=name) for name in names]


def arrives(look: Callable[[], Any], root: boto3.Session, function: str, *, since: float) -> Any:
    """What `look` finds, or nothing as soon as something was refused in the function's name."""
    return until(lambda: look() or refusals(root, function, since=since), SECONDS) and look()


def messages(root: boto3.Session, queue_arn: str) -> list[dict[str, Any]]:
    """The bodies in a queue, which stay there."""
    sqs = root.client("sqs")
    url = sqs.get_queue_url(QueueName=queue_arn.rpartition(":")[2])["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


@pytest.mark.parametrize("name", exercising("items/ApiFunction", "items/Rotation", "processing/WorkerFunction"))
def test_lambda_writes_log_and_trace(
    session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
) -> None:
    root, function, began = session(), function_names[name], time.time()
    # When it is invoked, whatever it answers
    root.client("lambda").invoke(FunctionName=function, Qualifier="live", Payload=b"{}")
    # Then its log and its trace are there
    configuration = root.client("lambda").get_function_configuration(FunctionName=function)
    written = root.client("logs").filter_log_events(
        logGroupName=configuration["LoggingConfig"]["LogGroup"], startTime=int(began * 1000)
    )["events"]
    assert any("REPORT RequestId" in event["message"] for event in written)
    moment = {"StartTime": datetime.fromtimestamp(began, UTC), "EndTime": datetime.now(UTC)}
    traces = root.client("xray").get_trace_summaries(**moment)["TraceSummaries"]
    assert function in {service["Name"] for trace in traces for service in trace["ServiceIds"]}


@pytest.mark.parametrize("name", exercising(*ASYNCHRONOUS))
def test_a_failed_event_goes_to_the_dead_letters(
    session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
) -> None:
    root, function, began = session(), function_names[name], time.time()
    # When it is handed an event that it can't make sense of, asynchronously
    event = {"DeploymentId": f"d-{uuid4().hex}"}
    root.client("lambda").invoke(
        FunctionName=function, Qualifier="live", InvocationType="Event", Payload=json.dumps(event).encode()
    )
    # Then the event is in the dead letters, after two retries
    config = root.client("lambda").get_function_event_invoke_config(FunctionName=function, Qualifier="live")
    queue = config["DestinationConfig"]["OnFailure"]["Destination"]

    def letter() -> dict[str, Any] | None:
        return next((each for each in messages(root, queue) if each.get("requestPayload") == event), None)

    found = arrives(letter, root, function, since=began)
    assert found, refusals(root, function, since=began)
    assert found["requestContext"]["condition"] == "RetriesExhausted"
    assert found["requestContext"]["approximateInvokeCount"] == 3


@pytest.mark.parametrize("name", exercising(*HOOKS))
def test_a_hook_reports_to_codedeploy(
    session: Callable[..., boto3.Session], function_names: dict[str, str], name: str
) -> None:
    root, function, began = session(), function_names[name], time.time()
    # Given a deployment of the group that the hook may report to
    role = root.client("lambda").get_function_configuration(FunctionName=function)["Role"].rpartition("/")[2]
    application, group = _deployment_group(root, role)
    hooks = {"Hooks": [{"BeforeAllowTraffic": f"{function}:live"}]}
    content: Any = {"content": json.dumps(hooks), "sha256": "0" * 64}
    codedeploy = root.client("codedeploy")
    # When it calls its hook
    deployment = codedeploy.create_deployment(
        applicationName=application,
        deploymentGroupName=group,
        revision={"revisionType": "AppSpecContent", "appSpecContent": content},
    )["deploymentId"]

    # Then the hook says that the new version may have traffic
    def ended() -> str | None:
        status = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]["status"]
        return status if status != "InProgress" else None

    assert arrives(ended, root, function, since=began) == "Succeeded"


def _deployment_group(root: boto3.Session, role: str) -> tuple[str, str]:
    """Application and group on which a role may report."""
    iam = root.client("iam")
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        document: Any = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"][
            "Document"
        ]
        for statement in document["Statement"]:
            if "codedeploy:PutLifecycleEventHookExecutionStatus" in statement["Action"]:
                resource = statement["Resource"]
                arn = resource if isinstance(resource, str) else resource[0]
                application, _, group = arn.partition("deploymentgroup:")[2].partition("/")
                return application, group
    # The permission was taken away: any other group has to do.
    return "none", "none"


@pytest.mark.parametrize(
    ("name", "queue", "dead_letters"),
    [
        pytest.param(name, *queues, marks=pytest.mark.exercises(name), id=name)
        for name, *queues in (
            ("ingest/Processor", "JobQueueUrl", "JobDeadLetterQueueUrl"),
            ("ingest/Worker", "WorkQueueUrl", "WorkDeadLetterQueueUrl"),
        )
    ],
)
def test_a_queue_is_read_and_its_messages_deleted(  # noqa: PLR0917  # pytest passes fixtures by name
    session: Callable[..., boto3.Session],
    function_names: dict[str, str],
    outputs: Outputs,
    name: str,
    queue: str,
    dead_letters: str,
) -> None:
    root, function, began, values = session(), function_names[name], time.time(), outputs["ingest"]
    sqs, text = root.client("sqs"), uuid4().hex

    def left() -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts: Any = sqs.get_queue_attributes(QueueUrl=values[queue], AttributeNames=names)["Attributes"]
        return sum(int(counts[each]) for each in names)

    before = left()
    # When a message comes that the function gives up at once
    sqs.send_message(QueueUrl=values[queue], MessageBody=text)

    def given_up() -> bool:
        found = sqs.receive_message(QueueUrl=values[dead_letters], MaxNumberOfMessages=10, VisibilityTimeout=0)
        return text in {message["Body"] for message in found.get("Messages", [])}

    # Then it is in the dead letters and no longer in the queue
    assert arrives(given_up, root, function, since=began), refusals(root, function, since=began)
    assert arrives(lambda: left() <= before, root, function, since=began), refusals(root, function, since=began)


@contextmanager
def closed_bucket(root: boto3.Session, bucket: str, prefix: str) -> Iterator[None]:
    """A bucket that refuses everybody its objects under a prefix for a while."""
    s3 = root.client("s3")
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(policy)
    refusal = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/{prefix}*",
    }
    document["Statement"].append(refusal)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    try:
        yield
    finally:
        s3.put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.mark.exercises("items/StreamFunction")
def test_a_stream_is_read_and_its_failures_are_sent_on(
    session: Callable[..., boto3.Session],
    local: LocalEnvironment,
    signed: Request,
    function_names: dict[str, str],
    outputs: Outputs,
) -> None:
    root, began, values = session(), time.time(), outputs["items"]
    function = function_names["items/StreamFunction"]
    functions = root.client("lambda")
    (mapping,) = functions.list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    retries = mapping["MaximumRetryAttempts"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=0)
    queue = mapping["DestinationConfig"]["OnFailure"]["Destination"]
    try:
        # Given creations that can't be followed
        with closed_bucket(root, values["BucketName"], "items/"):
            # When one comes by the stream
            create(signed)

            def letter() -> dict[str, Any] | None:
                since = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
                letters = (each for each in messages(root, queue) if "DDBStreamBatchInfo" in each)
                return next((each for each in letters if each["timestamp"] >= since), None)

            # Then what is known of its batch is in the dead letters
            found = arrives(letter, root, function, since=began)
            assert found, refusals(root, function, since=began)
            assert found["requestContext"]["condition"] == "RetryAttemptsExhausted"
            assert found["DDBStreamBatchInfo"]["streamArn"] == mapping["EventSourceArn"]
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], MaximumRetryAttempts=retries)
        local.emulator.recycle(function)
