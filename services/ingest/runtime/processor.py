"""The function behind the job queue: finds a job's records and puts them on the work queue."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from services.ingest.runtime.consumer import Consumer, OnAws, Task
from services.ingest.runtime.logic import Planner
from services.ingest.runtime.messages import job_message
from services.ingest.runtime.model import PLAN
from services.ingest.runtime.storage import S3Plans, SqsQueue
from slipway_runtime.telemetry import lambda_handler


def consumer(environment: Mapping[str, str]) -> Consumer:
    """Return the message handler on AWS, from the function's environment variables."""
    on_aws = OnAws(environment)
    planner = Planner(
        records=on_aws.records,
        jobs=on_aws.jobs,
        plans=S3Plans(on_aws.s3, environment["BUCKET_NAME"]),
        queue=SqsQueue(on_aws.sqs, environment["WORK_QUEUE_URL"]),
        lifetime=timedelta(hours=int(environment["RECORD_HOURS"])),
    )

    def read(body: str) -> Task:
        message = job_message(body)
        return Task(message.job, PLAN, partial(planner.plan, message))

    return on_aws.consumer(read)


handler = lambda_handler()(consumer(os.environ).answer)

finished()
