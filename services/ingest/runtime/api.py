"""The function behind the REST API."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping
from datetime import timedelta

from services.ingest.runtime import routes
from services.ingest.runtime.logic import Jobs, Records
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords, S3Payloads, SqsQueue
from slipway_runtime import aws
from slipway_runtime.http import Cors


def wiring(environment: Mapping[str, str]) -> routes.Wiring:
    """Return the routes' dependencies on AWS, from the function's environment variables.

    The DynamoDB client is created here, while Lambda gives a starting function its full CPU; the others at the first
    request that needs them.
    """
    lifetime = timedelta(hours=int(environment["RECORD_HOURS"]))
    dynamodb = aws.client("dynamodb")
    return routes.Wiring(
        records=Records(
            storage=DynamoDBRecords(dynamodb, environment["TABLE_NAME"]),
            payloads=S3Payloads(lambda: aws.client("s3"), environment["BUCKET_NAME"]),
            lifetime=lifetime,
        ),
        jobs=Jobs(
            storage=DynamoDBJobs(dynamodb, environment["JOBS_TABLE_NAME"]),
            queue=SqsQueue(lambda: aws.client("sqs"), environment["JOB_QUEUE_URL"]),
            lifetime=lifetime,
            deadline=timedelta(seconds=int(environment["DEADLINE_SECONDS"])),
        ),
        cors=Cors(environment["CORS_ORIGINS"]),
    )


routes.api.bind(wiring(os.environ))
handler = routes.api.handler()

finished()
