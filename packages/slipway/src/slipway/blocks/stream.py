"""Functions that read a table's stream."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from slipway.blocks.function import ServiceFunction
from slipway.blocks.table import ServiceTable

BATCH_SIZE = 25
MAX_AGE = Duration.hours(2)
MAX_RETRIES = 100
"""Maximum retries. The age limit comes first: a poisoned record moves to the dead letters after two hours at most."""


def read_stream(
    scope: Construct, *, function: ServiceFunction, table: ServiceTable, events: Mapping[str, object]
) -> lambda_.EventSourceMapping:
    """Have the alias `live` of a function read a table's stream.

    A batch with failures is bisected and retried from its first failure; records that fail for two hours are sent to
    the function's dead letters.

    Args:
        scope: The compute stack.
        function: The reader; it must have dead letters.
        table: The table, with a stream.
        events: Filter pattern over the stream's records.

    Returns:
        The event source mapping.

    Raises:
        ValueError: The function has no dead letters, or the table no stream.
    """
    if function.dead_letters is None or table.table_stream_arn is None:
        raise ValueError(f"{scope.node.path}: a stream's reader needs dead_letters and a table with a stream")
    function.allow(
        actions=["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
        resources=[table.table_stream_arn],
    )
    function.allow_without_resource_level(
        actions=["dynamodb:ListStreams"],
        reason="AWS's own policy for stream readers allows ListStreams on all streams; it returns names, not records.",
    )
    return lambda_.EventSourceMapping(
        scope,
        "StreamMapping",
        target=function.live,
        event_source_arn=table.table_stream_arn,
        starting_position=lambda_.StartingPosition.TRIM_HORIZON,
        batch_size=BATCH_SIZE,
        bisect_batch_on_error=True,
        report_batch_item_failures=True,
        max_record_age=MAX_AGE,
        retry_attempts=MAX_RETRIES,
        filters=[lambda_.FilterCriteria.filter(events)],
        on_failure=sources.SqsDlq(function.dead_letters),
    )
