"""The function behind the REST API."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_REST
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.ingest.runtime import routes
from services.ingest.runtime.logic import Jobs, Records
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords, S3Payloads, SqsQueue
from slipway_runtime import aws
from slipway_runtime.http import Cors
from slipway_runtime.telemetry import flush_metrics, logger, tracer


def wiring(environment: "os._Environ[str] | dict[str, str]") -> routes.Wiring:
    """The routes' wiring on AWS, from the function's environment variables.

    The client of DynamoDB is made here, while Lambda gives a starting function its full CPU; the others at the first
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


routes.bind(wiring(os.environ))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_REST, clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers a REST API's proxy event."""
    try:
        return routes.respond(event, context)
    finally:
        flush_metrics()


startup.finished()
