"""The function behind the work queue: processes records, batch by batch."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from functools import partial

from services.ingest.runtime.consumer import Consumer, OnAws, Task
from services.ingest.runtime.logic import Worker
from services.ingest.runtime.messages import batch_message
from services.ingest.runtime.storage import S3Payloads
from slipway_runtime.telemetry import lambda_handler


def consumer(environment: Mapping[str, str]) -> Consumer:
    """Return the message handler on AWS, from the function's environment variables."""
    on_aws = OnAws(environment)
    payloads = S3Payloads(on_aws.s3, environment["BUCKET_NAME"])
    worker = Worker(records=on_aws.records, payloads=payloads, jobs=on_aws.jobs)

    def read(body: str) -> Task:
        message = batch_message(body)
        return Task(message.job, str(message.batch), partial(worker.work, message))

    return on_aws.consumer(read)


handler = lambda_handler()(consumer(os.environ).answer)

finished()
