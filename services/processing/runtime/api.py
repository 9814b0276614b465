"""The function behind the HTTP API."""

from slipway_runtime.startup import finished

import os
from collections.abc import Mapping

from services.processing.runtime import routes
from services.processing.runtime.jobs import LambdaJobs
from services.processing.runtime.logic import Processing
from services.processing.runtime.storage import DynamoDBRecordStorage, S3ResultStorage
from slipway_runtime import aws
from slipway_runtime.probe import TableProbe
from slipway_runtime.uploads import S3UploadForms, signing_client

# An HTTP API answers within 30 s, and the longest request makes two calls: at most 12 s each.
_ATTEMPTS = 2


def wiring(environment: Mapping[str, str]) -> routes.Wiring:
    """Return the routes' dependencies on AWS, from the function's environment variables.

    The clients of DynamoDB and S3, which most requests need, are created here, while Lambda gives a starting function
    its full CPU; that of Lambda at the first job, that of the health check at the first check.
    """
    table_name, bucket_name = environment["TABLE_NAME"], environment["BUCKET_NAME"]
    s3 = signing_client(attempts=_ATTEMPTS)
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
        probe=TableProbe(table_name, "owned_id"),
        environment=environment["ENVIRONMENT"],
    )


routes.api.bind(wiring(os.environ))
handler = routes.api.handler()

finished()
