"""The function that processes jobs, invoked asynchronously: if it raises, Lambda retries it twice."""

from slipway_runtime.startup import finished

import os
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.processing.runtime.jobs import job_of
from services.processing.runtime.model import Outcome
from services.processing.runtime.storage import DynamoDBRecordStorage, S3ResultStorage
from services.processing.runtime.work import Worker
from slipway_runtime import aws
from slipway_runtime.telemetry import error_name, lambda_handler, logger, metrics

# Three calls, each tried at most twice: about 10 s each, so 30 s, the function's shortest time-out. Lambda itself
# retries the whole invocation.
_ATTEMPTS = 2


class _Bound:
    """Dependencies of this process; tests bind their own."""

    worker = Worker(
        records=DynamoDBRecordStorage(aws.client("dynamodb", attempts=_ATTEMPTS), os.environ["TABLE_NAME"]),
        results=S3ResultStorage(aws.client("s3", attempts=_ATTEMPTS), os.environ["BUCKET_NAME"]),
    )


def bind(worker: Worker) -> None:
    """Set the function's worker."""
    _Bound.worker = worker


class JobFailedError(Exception):
    """A job that failed this time. Its text is sent to the dead letters, so it contains nothing of the data."""


@lambda_handler()
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:  # noqa: ARG001
    """Process one job.

    Raises:
        JobFailedError: It failed, or is invalid.
    """
    try:
        job = job_of(event)
        outcome = _Bound.worker.do(job)
    except Exception as error:  # noqa: BLE001 - Lambda retries after any error
        metrics.add_metric("ProcessFailures", MetricUnit.Count, 1)
        logger.error("job failed", extra={"error": error_name(error)})
        raise JobFailedError(error_name(error)) from None
    else:
        if outcome is Outcome.DONE:
            metrics.add_metric("ProcessSuccesses", MetricUnit.Count, 1)
        logger.info("job", extra={"record_id": job.id, "outcome": outcome.value})
        return {"outcome": outcome.value}


finished()
