"""Logger, tracer and metrics of a function. Service, namespace and level come from Powertools' own variables."""

import os

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

logger = Logger(utc=True)
metrics = Metrics()
# Handlers are traced without their answers and without the text of their errors: both can quote a request.
# Of libraries, botocore alone: patching whatever is installed would import what no function uses.
tracer = Tracer(patch_modules=["botocore"])


def flush_metrics() -> None:
    """Write the metrics of this invocation, if it has any."""
    if metrics.metric_set:
        metrics.flush_metrics()


def count_fault() -> None:
    """Count that this version failed and says so itself: by a 5xx answer, or by a message that it could not handle.

    Lambda counts no error then, so the alarms of a deployment read this metric beside Lambda's own: `Faults` of the
    function's version (slipway.blocks.deployment). It is written at once and apart, since it has dimensions of its own.
    A failure to count is logged, and changes nothing of the answer.
    """
    try:
        faults = EphemeralMetrics()
        faults.add_dimension("function_name", os.environ["AWS_LAMBDA_FUNCTION_NAME"])
        faults.add_dimension("function_version", os.environ["AWS_LAMBDA_FUNCTION_VERSION"])
        # Lambda takes a line that has no level for INFO, and drops it where the level of the configuration is above
        # (https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html).
        faults.add_metadata("level", "ERROR")
        faults.add_metric("Faults", MetricUnit.Count, 1)
        faults.flush_metrics()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is worth more than its count
        logger.warning("fault not counted", extra={"error": type(error).__name__})
