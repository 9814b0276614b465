"""The function behind the HTTP API."""

# ruff: isort: off
from slipway_runtime import startup  # before all others
# ruff: isort: on

import os
from typing import Any

from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.processing.runtime import routes
from services.processing.runtime.jobs import LambdaJobs
from services.processing.runtime.logic import Processing
from services.processing.runtime.storage import DynamoDBHealthProbe, DynamoDBRecordStorage, S3ResultStorage
from services.processing.runtime.uploads import S3UploadForms
from slipway_runtime import aws
from slipway_runtime.telemetry import flush_metrics, logger, tracer

# An HTTP API answers within 30 s, and the longest request makes two calls: at most 12 s each.
_ATTEMPTS = 2


def wiring(environment: "os._Environ[str] | dict[str, str]") -> routes.Wiring:
    """The routes' wiring on AWS, from the function's environment variables.

    The clients of DynamoDB and S3, which most requests need, are made here, while Lambda gives a starting function its
    full CPU; that of Lambda at the first job, that of the health check at the first of them.
    """
    table_name, bucket_name = environment["TABLE_NAME"], environment["BUCKET_NAME"]
    s3 = aws.client("s3", attempts=_ATTEMPTS, signature_version="s3v4", addressing_style="virtual")
    return routes.Wiring(
        processing=Processing(
            records=DynamoDBRecordStorage(aws.client("dynamodb", attempts=_ATTEMPTS), table_name),
            results=S3ResultStorage(s3, bucket_name),
            jobs=LambdaJobs(lambda: aws.client("lambda", attempts=_ATTEMPTS), environment["WORKER_ARN"]),
            uploads=S3UploadForms(
                s3,
                bucket_name,
                max_bytes=int(environment["UPLOAD_MAX_BYTES"]),
                content_types=environment["UPLOAD_CONTENT_TYPES"].split(","),
            ),
            days=int(environment["RECORD_DAYS"]),
        ),
        # A health check that hangs tells nobody anything: one attempt, one second.
        probe=DynamoDBHealthProbe(lambda: aws.client("dynamodb", attempts=1, read_seconds=1.0), table_name),
        environment=environment["ENVIRONMENT"],
    )


routes.bind(wiring(os.environ))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP, clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answers an HTTP API's proxy event."""
    try:
        return routes.respond(event, context)
    finally:
        flush_metrics()


startup.finished()
