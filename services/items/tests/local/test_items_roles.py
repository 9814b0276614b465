"""What AWS's services do in the name of this service's roles."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest

from services.items.tests.local.items import create
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.testing.contract.roles import AsynchronousContract, HookContract, TracedContract, arrives, messages
from slipway.testing.emulated import Request, refusals

pytestmark = pytest.mark.requirement("functions")

HOOKS = ("items/ApiDeployment/Hook", "items/StreamDeployment/Hook")


class TestTraced(TracedContract):
    functions = ("items/ApiFunction", "items/Rotation")


class TestAsynchronous(AsynchronousContract):
    functions = (*HOOKS, "items/Rotation")


class TestHooks(HookContract):
    functions = HOOKS


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
