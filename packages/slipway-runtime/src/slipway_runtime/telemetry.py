"""Logger, tracer and metrics of a function. Service, namespace and level come from Powertools' own variables."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit
from botocore.exceptions import ClientError

Handler = Callable[[Any, Any], Any]
"""Function that Lambda invokes with an event and a context."""

logger = Logger(utc=True)
metrics = Metrics()
# Handlers are traced without their answers and without the text of their errors: both can quote a request.
# Of the libraries, only botocore is patched: patching all that are installed would import ones that no function uses.
tracer = Tracer(patch_modules=["botocore"])


def lambda_handler(*, correlation_id_path: str | None = None) -> Callable[[Handler], Handler]:
    """Return the decorator of a handler: log lines name the request, it is traced, and its metrics are written.

    Args:
        correlation_id_path: JMESPath of the request's id in the event. Default: the event has none.
    """

    def decorate(function: Handler) -> Handler:
        @logger.inject_lambda_context(correlation_id_path=correlation_id_path, clear_state=True)
        @tracer.capture_lambda_handler(capture_response=False, capture_error=False)
        @wraps(function)
        def handler(event: Any, context: Any) -> Any:
            try:
                return function(event, context)
            finally:
                flush_metrics()

        decorated: Handler = handler
        return decorated

    return decorate


def flush_metrics() -> None:
    """Write the metrics of this invocation, if it has any."""
    if metrics.metric_set:
        metrics.flush_metrics()


def count_fault() -> None:
    """Count a failure that this version reports itself: a 5xx answer, or a message that it could not handle.

    To Lambda this is not an error, so the alarms of a deployment read this metric besides Lambda's own: `Faults` of the
    function's version (slipway.blocks.deployment). It is written immediately and separately, since it has its own
    dimensions. A failure to count is logged, and does not change the answer.
    """
    try:
        faults = EphemeralMetrics()
        faults.add_dimension("function_name", os.environ["AWS_LAMBDA_FUNCTION_NAME"])
        faults.add_dimension("function_version", os.environ["AWS_LAMBDA_FUNCTION_VERSION"])
        # Lambda treats a line without a level as INFO, and drops it if the configured level is higher
        # (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
        faults.add_metadata("level", "ERROR")
        faults.add_metric("Faults", MetricUnit.Count, 1)
        faults.flush_metrics()
    except Exception as error:  # noqa: BLE001 - the answer matters more than its count
        logger.warning("fault not counted", extra={"error": type(error).__name__})


def error_name(error: BaseException) -> str:
    """Return a description without the error's text, which can quote a request or a secret."""
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response.get('Error', {}).get('Code', 'unknown')}"
    return type(error).__name__
