"""The function behind the table's stream, which handles an item's creation independently of the request."""

from slipway_runtime.startup import finished

import os
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord, DynamoDBRecordEventName
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.items.runtime.creations import CreationEffects
from services.items.runtime.storage import item_from
from slipway_runtime import aws
from slipway_runtime.telemetry import count_fault, lambda_handler, logger, metrics


class _Bound:
    """Dependencies of this process; tests bind their own."""

    effects = CreationEffects(
        s3=aws.client("s3"),
        sns=aws.client("sns"),
        bucket=os.environ["BUCKET_NAME"],
        topic_arn=os.environ["TOPIC_ARN"],
        persistence=DynamoDBPersistenceLayer(os.environ["IDEMPOTENCY_TABLE_NAME"], boto3_client=aws.client("dynamodb")),
    )


def bind(effects: CreationEffects) -> None:
    """Set the effects that the handler uses."""
    _Bound.effects = effects


processor = BatchProcessor(event_type=EventType.DynamoDBStreams)


class BatchFailedError(Exception):
    """Every record of a batch failed: an error of the function, so that Lambda's own metric shows it to the alarms."""


def _on_record(record: DynamoDBRecord) -> None:
    # The raw image: Powertools' conversion fails on numbers that DynamoDB writes with more than 38 digits.
    image = record.dynamodb.get("NewImage") if record.dynamodb else None
    # The event source mapping only passes creations; a mapping without its filter must do no harm.
    if record.event_name != DynamoDBRecordEventName.INSERT or image is None:
        return
    try:
        item = item_from(image)
        _Bound.effects.follow(item)
    except Exception as error:
        item_id = image.get("id", {}).get("S")
        logger.warning("effects of a creation failed", extra={"item_id": item_id, "error": type(error).__name__})
        metrics.add_metric("CreationsFailed", MetricUnit.Count, 1)
        count_fault()
        raise
    metrics.add_metric("CreationsFollowed", MetricUnit.Count, 1)
    logger.info("creation followed", extra={"item_id": item.id})


@lambda_handler()
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Handle the creations of a batch, and return the records to retry."""
    if not event["Records"]:
        # Powertools treats an empty batch as one of another service. The contract check sends one.
        return {"batchItemFailures": []}
    try:
        return process_partial_response(event=event, record_handler=_on_record, processor=processor, context=context)
    except BatchProcessingError as error:
        # Not Powertools' error, whose text quotes the records' errors and would be logged by Lambda.
        raise BatchFailedError(f"{len(error.child_exceptions)} of {len(event['Records'])} records failed") from None


finished()
