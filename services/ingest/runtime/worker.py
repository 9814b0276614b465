"""The function behind the work queue: processes records, batch by batch."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.ingest.runtime.consumer import Consumer, Task
from services.ingest.runtime.logic import Worker
from services.ingest.runtime.messages import batch_message
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords, S3Payloads, SqsQueue
from slipway_runtime import aws
from slipway_runtime.telemetry import lambda_handler

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# A quarter of an hour a run: a call may outlast a minute of throttles, and no longer than two.
_ATTEMPTS = 8
_READ_SECONDS = 10.0


def _s3() -> "S3Client":
    return aws.client("s3", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)


def _sqs() -> "SQSClient":
    return aws.client("sqs", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)


def consumer(environment: Mapping[str, str]) -> Consumer:
    """Return the message handler on AWS, from the function's environment variables."""
    dynamodb = aws.client("dynamodb", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)
    jobs = DynamoDBJobs(dynamodb, environment["JOBS_TABLE_NAME"])
    worker = Worker(
        records=DynamoDBRecords(dynamodb, environment["TABLE_NAME"]),
        payloads=S3Payloads(_s3, environment["BUCKET_NAME"]),
        jobs=jobs,
    )

    def read(body: str) -> Task:
        message = batch_message(body)
        return Task(message.job, str(message.batch), partial(worker.work, message))

    return Consumer(
        read=read,
        jobs=jobs,
        inbox=SqsQueue(_sqs, environment["QUEUE_URL"]),
        dead_letters=SqsQueue(_sqs, environment["DEAD_LETTER_QUEUE_URL"]),
        max_receives=int(environment["MAX_RECEIVES"]),
    )


_consumer = consumer(os.environ)


@lambda_handler()
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Process a batch of messages, and return the messages to retry."""
    return _consumer.answer(event, context)


finished()
