"""Kill functions, shorten time-outs and cut dependencies off while tests run."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import boto3
import psutil

from slipway.emulator.environment import LocalEnvironment
from slipway.testing.faulty import FaultyProxy


class Killer:
    """Kills running functions at random moments: SIGKILL to the process that runs one.

    Args:
        local: The environment in which they run.
        functions: ARNs of their aliases.
        most: Maximum number of kills.
    """

    def __init__(self, local: LocalEnvironment, functions: Sequence[str], *, most: int) -> None:
        self._emulator = local.emulator
        self._names = [arn.split(":")[6] for arn in functions]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._most = most
        self.count = 0

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        chance = random.Random(7)  # nosec B311  # which function is killed
        while self.count < self._most and not self._stop.wait(chance.uniform(0.5, 3.0)):
            victims = [worker for name in self._names for worker in self._emulator.environments(name)]
            if victims:
                with suppress(psutil.NoSuchProcess):
                    chance.choice(victims).kill()
                    self.count += 1


def changes_of(root: boto3.Session, stream: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield the old and the new image of each change that a table's stream holds.

    Args:
        root: Of the account.
        stream: ARN of the stream.
    """
    streams = root.client("dynamodbstreams")
    for shard in streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page: Any = streams.get_records(ShardIterator=iterator, Limit=1000)
            for record in page["Records"]:
                images = record["dynamodb"]
                yield images.get("OldImage", {}), images.get("NewImage", {})
            iterator = page.get("NextShardIterator") if page["Records"] else None


@contextmanager
def short_visibility(root: boto3.Session, urls: Sequence[str], seconds: int) -> Iterator[None]:
    """Shorten the visibility time-outs of queues for a while: a test cannot wait for hours."""
    sqs: Any = root.client("sqs")
    name = "VisibilityTimeout"
    before = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name] for url in urls]
    for url in urls:
        sqs.set_queue_attributes(QueueUrl=url, Attributes={name: str(seconds)})
    try:
        yield
    finally:
        for url, former in zip(urls, before, strict=True):
            sqs.set_queue_attributes(QueueUrl=url, Attributes={name: former})


@contextmanager
def through(root: boto3.Session, arns: Sequence[str], proxy: FaultyProxy, services: Sequence[str]) -> Iterator[None]:
    """Let functions reach some of AWS's services through a proxy for a while, by new versions under `live`.

    Args:
        root: Of the account.
        arns: ARNs of the functions' aliases `live`.
        proxy: The proxy, which fails at random.
        services: As botocore's variables name them, such as `DYNAMODB`.
    """
    functions = root.client("lambda")
    aliases = []
    endpoints = {f"AWS_ENDPOINT_URL_{service}": proxy.url for service in services}
    for name in (arn.split(":")[6] for arn in arns):
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        aliases.append((name, functions.get_alias(FunctionName=name, Name="live")["FunctionVersion"], variables))
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, **endpoints}}
        )
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    try:
        yield
    finally:
        for name, version, variables in aliases:
            functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
