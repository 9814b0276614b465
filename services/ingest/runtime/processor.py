"""The function behind the job queue: finds a job's records and puts them on the work queue."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.ingest.runtime.consumer import Consumer, Task
from services.ingest.runtime.logic import Planner
from services.ingest.runtime.messages import job_message
from services.ingest.runtime.model import PLAN
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords, S3Plans, SqsQueue
from slipway_runtime import aws
from slipway_runtime.telemetry import lambda_handler

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Five minutes per run: a call may outlast a minute of throttling, but no longer than two.
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
    planner = Planner(
        records=DynamoDBRecords(dynamodb, environment["TABLE_NAME"]),
        jobs=jobs,
        plans=S3Plans(_s3, environment["BUCKET_NAME"]),
        queue=SqsQueue(_sqs, environment["WORK_QUEUE_URL"]),
        lifetime=timedelta(hours=int(environment["RECORD_HOURS"])),
    )

    def read(body: str) -> Task:
        message = job_message(body)
        return Task(message.job, PLAN, partial(planner.plan, message))

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
    """Plan the jobs of a batch of messages, and return the messages to retry."""
    return _consumer.answer(event, context)


finished()
