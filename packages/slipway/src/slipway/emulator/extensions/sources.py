"""Event source mappings: read queues and streams under the function's role, in batches, with the configured retries.

Queues: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html. Streams:
https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and
https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import error_response_json, new_uuid
from ministack.services import dynamodb, lambda_svc, sqs
from ministack.services.cloudformation import provisioners

from slipway.emulator.extensions import destinations
from slipway.emulator.extensions.authority import Refusal
from slipway.emulator.extensions.functions import Record, actor
from slipway.emulator.extensions.keys import DECRYPT, key_of
from slipway.emulator.extensions.patches import wrap

POLLERS = 5
"""Concurrent batches of a queue without `MaximumConcurrency`: the number with which Lambda begins
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html)."""

THROTTLED_SECONDS = 0.2
"""Pause before a throttled batch is tried again."""

_QUEUE_READS = ("sqs:ReceiveMessage", "sqs:GetQueueAttributes")
_STREAM_READS = ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator")


def read_refusal(config: Record, source: str, *, deletes: bool = False) -> Refusal | None:
    """Return why a function's role may not read a queue or stream; None if it may, or for other sources.

    Args:
        config: The function's configuration.
        source: ARN of the queue or stream.
        deletes: True to also require the permission to delete messages. Default: only to read.
    """
    lambda_, service = actor(config), source.split(":")[2] if source.startswith("arn:") else ""
    match service:
        case "sqs":
            actions = (*_QUEUE_READS, *(("sqs:DeleteMessage",) if deletes else ()))
            refusal = lambda_.first_refusal(*((action, source) for action in actions))
        case "dynamodb":
            refusal = lambda_.first_refusal(
                *((action, source) for action in _STREAM_READS), ("dynamodb:ListStreams", "*")
            )
        case _:
            return None
    if refusal is None and (key := key_of(source)) is not None:
        refusal = lambda_.refusal(DECRYPT, key, via=service)
    return refusal


def _creation_refused(config: Record, source: str) -> str | None:
    """Return AWS's message if Lambda refuses to create a mapping because the role may not read the source."""
    refusal = read_refusal(config, source, deletes=True)
    if refusal is None:
        return None
    if source.split(":")[2] == "sqs":
        name = refusal.action.partition(":")[2]
        return f"The function execution role does not have permissions to call {name} on SQS"
    return (
        f"Cannot access stream {source}. Please ensure the role can perform the GetRecords, GetShardIterator, "
        "DescribeStream, and ListStreams Actions on your stream in DynamoDB."
    )


def _create(original: Callable[..., Any], data: Record) -> Any:
    name, qualifier = lambda_svc._resolve_name_and_qualifier(data.get("FunctionName", ""))
    _, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    if config and (message := _creation_refused(config, data.get("EventSourceArn", ""))):
        return error_response_json("InvalidParameterValueException", message, 400)
    return original(data)


def _provision(original: Callable[..., Any], logical_id: str, props: Record, stack_name: str) -> Any:
    name, qualifier = lambda_svc._resolve_name_and_qualifier(props.get("FunctionName", ""))
    _, config = lambda_svc._get_func_record_for_qualifier(name, qualifier)
    source = props.get("EventSourceArn", "")
    if refused := lambda_svc._validate_scaling_config(props, source):
        raise ValueError(f"Resource handler returned message: {json.loads(refused[2]).get('message')!r}")
    if config and (message := _creation_refused(config, source)):
        raise ValueError(f"Resource handler returned message: {message!r} (HandlerErrorCode: InvalidRequest)")
    return original(logical_id, props, stack_name)


# Queues


def _queue_concurrency(
    _: Callable[..., Any], esm: Record, func_rec: Record, config: Record, queue: Record | None = None
) -> int:
    """Return how many batches may be processed at once; 0 while the role may not read the queue."""
    if queue and queue.get("messages") and (refusal := read_refusal(config, esm["EventSourceArn"])) is not None:
        esm["LastProcessingResult"] = f"PROBLEM: {refusal.message}"
        return 0
    del func_rec
    if queue and queue.get("is_fifo"):
        return 1
    # As on AWS, reserved concurrency doesn't limit this number: excess batches are throttled.
    return int((esm.get("ScalingConfig") or {}).get("MaximumConcurrency") or POLLERS)


def _run_queue_batch(  # noqa: PLR0917  # as the emulator calls it
    _: Callable[..., Any],
    esm: Record,
    func_rec: Record,
    event: Record,
    batch: list[Record],
    queue_url: str,
    queue_name: str,
) -> None:
    del queue_name
    result = lambda_svc._execute_function(func_rec, event)
    while result.get("throttle") and min(message["visible_at"] for message in batch) > time.time() + THROTTLED_SECONDS:
        time.sleep(THROTTLED_SECONDS)
        result = lambda_svc._execute_function(func_rec, event)
    handed = [record["messageId"] for record in event["Records"]]
    failed = set(handed) if result.get("error") else set(failed_items(esm, result.get("body"), handed))
    if result.get("error") and not result.get("throttle"):
        lambda_svc._esm_backoff_until[esm["UUID"]] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
    # Filtered messages are deleted too.
    done = {message["receipt_handle"] for message in batch if message["id"] not in failed}
    config, source = func_rec["config"], esm["EventSourceArn"]
    if done and actor(config).refusal("sqs:DeleteMessage", source) is None:
        sqs._delete_messages_for_esm(queue_url, done)
    esm["LastProcessingResult"] = (
        "FAILED" if result.get("error") else f"OK - {len(handed) - len(failed)} records, {len(failed)} failed"
    )


def failed_items(mapping: Record, answer: object, handed: Sequence[str]) -> Sequence[str]:
    """Return which of the passed items a function reported as failed: all of them if the report is invalid.

    Args:
        mapping: The event source mapping.
        answer: The function's answer.
        handed: Identifiers of the items: ids of messages, or sequence numbers of records.
    """
    if "ReportBatchItemFailures" not in (mapping.get("FunctionResponseTypes") or []) or not answer:
        return ()
    if not isinstance(answer, dict):
        return handed
    reported = answer.get("batchItemFailures") or ()
    names = [str(item.get("itemIdentifier")) if isinstance(item, dict) else "" for item in reported]
    return names if set(names) <= set(handed) else handed


# Streams


@dataclass
class _Window:
    """Records of a stream that are passed to the function together, by their positions."""

    start: int
    end: int
    failures: int = 0
    """Number of failures of the function on its first record."""


@dataclass
class _Reader:
    """State of one mapping."""

    windows: list[_Window] = field(default_factory=list)


_readers: dict[str, _Reader] = {}
_lock = threading.Lock()


@contextmanager
def _scope(account: str, region: str) -> Iterator[None]:
    account_token = lambda_svc._request_account_id.set(account)
    region_token = lambda_svc._request_region.set(region)
    try:
        yield
    finally:
        lambda_svc._request_account_id.reset(account_token)
        lambda_svc._request_region.reset(region_token)


def _poll_streams(_: Callable[..., Any]) -> bool:
    """Give each mapping of a table's stream its next batch.

    Returns:
        True if there were records to deliver or to skip.
    """
    worked = False
    for account, region, esm in lambda_svc._iter_all_esms():
        parts = esm.get("EventSourceArn", "").split(":", 5)
        if len(parts) < 6 or parts[2] != "dynamodb" or (parts[3], parts[4]) != (region, account):
            continue
        with _scope(account, region):
            worked = _poll_stream(esm, parts[5].split("/")[1]) or worked
    return worked


def _poll_stream(esm: Record, table: str) -> bool:
    mapping = esm["UUID"]
    if not esm.get("Enabled", True) or lambda_svc._esm_backoff_until.get(mapping, 0) > time.time():
        return False
    if lambda_svc._esm_inflight.get(mapping, 0):
        return False
    function, config = lambda_svc._get_func_record_for_qualifier(esm["FunctionName"], esm.get("Qualifier"))
    if function is None or (dynamodb._tables.get(table) or {}).get("LatestStreamArn") != esm["EventSourceArn"]:
        return False
    window = _next_window(esm, table)
    if window is None:
        return False
    if (refusal := read_refusal(config, esm["EventSourceArn"])) is not None:
        esm["LastProcessingResult"] = f"PROBLEM: {refusal.message}"
        lambda_svc._esm_backoff_until[mapping] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS
        return False
    lambda_svc._dispatch_esm_batch(mapping, _run_stream_batch, esm, function, table, window)
    return True


def _next_window(esm: Record, table: str) -> _Window | None:
    mapping, horizon, end = esm["UUID"], dynamodb.stream_start_position(table), dynamodb.stream_end_position(table)
    with lambda_svc._dynamodb_stream_positions_lock:
        positions = lambda_svc._dynamodb_stream_positions
        if mapping not in positions:
            positions[mapping] = horizon if esm.get("StartingPosition") == "TRIM_HORIZON" else end
        # Records that have expired in the meantime are lost.
        position = positions[mapping] = max(positions[mapping], horizon)
    with _lock:
        reader = _readers.setdefault(mapping, _Reader())
        reader.windows = [window for window in reader.windows if window.start >= position]
        if not reader.windows and position < end:
            reader.windows = [_Window(position, min(end, position + int(esm.get("BatchSize", 100))))]
        return reader.windows[0] if reader.windows else None


def _run_stream_batch(esm: Record, function: Record, table: str, window: _Window) -> None:
    raw = dynamodb.stream_records_since(table, window.start, window.end - window.start)
    # Counted by position, because filtered records have positions too.
    records = lambda_svc._apply_filter_criteria(list(raw), esm)
    young = _young(esm, records)
    if len(young) < len(records):
        _send_failed(
            esm,
            function,
            records[: len(records) - len(young)],
            {},
            failures=window.failures,
            condition="MaxRecordAgeExceeded",
        )
    if not young:
        _finish(esm, window, window.end)
        return
    result = lambda_svc._execute_function(function, {"Records": young})
    if result.get("throttle"):
        # A throttled batch was not tried: https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
        _back_off(esm)
        return
    numbers = [record["dynamodb"]["SequenceNumber"] for record in young]
    failed = numbers if result.get("error") else failed_items(esm, result.get("body"), numbers)
    if not failed:
        _finish(esm, window, window.end)
        esm["LastProcessingResult"] = "OK"
        return
    esm["LastProcessingResult"] = "PROBLEM: Function call failed"
    _again(esm, function, (raw, young, result), window, min(map(numbers.index, failed)))
    _back_off(esm)


def _again(
    esm: Record, function: Record, tried: tuple[list[Record], list[Record], Record], window: _Window, first: int
) -> None:
    """Decide what happens to a batch that failed from one of its records on."""
    raw, records, result = tried
    if first > 0:
        # Everything before the first failure is done.
        _finish(esm, window, window.start + raw.index(records[first]))
        window.failures = 1
        return
    reported = not result.get("error")
    if esm.get("BisectBatchOnFunctionError") and not reported and len(records) > 1:
        # Halving doesn't count as a retry.
        middle = window.start + raw.index(records[len(records) // 2])
        with _lock:
            _readers[esm["UUID"]].windows[:1] = [
                _Window(window.start, middle, window.failures),
                _Window(middle, window.end, window.failures),
            ]
        return
    window.failures += 1
    retries = int(esm.get("MaximumRetryAttempts", -1))
    if 0 <= retries < window.failures:
        _send_failed(esm, function, records, result, failures=window.failures, condition="RetryAttemptsExhausted")
        _finish(esm, window, window.end)


def _finish(esm: Record, window: _Window, position: int) -> None:
    """Move a mapping to a position, and end the window if that is its end."""
    with lambda_svc._dynamodb_stream_positions_lock:
        lambda_svc._dynamodb_stream_positions[esm["UUID"]] = position
    with _lock:
        window.start = position
        if position >= window.end:
            windows = _readers[esm["UUID"]].windows
            windows[:] = [other for other in windows if other is not window]
    if position >= window.end:
        lambda_svc._esm_backoff_until.pop(esm["UUID"], None)


def _back_off(esm: Record) -> None:
    if _readers[esm["UUID"]].windows:
        lambda_svc._esm_backoff_until[esm["UUID"]] = time.time() + lambda_svc._ESM_BACKOFF_SECONDS


def _young(esm: Record, records: list[Record]) -> list[Record]:
    """Return the records that are within the maximum age."""
    oldest = int(esm.get("MaximumRecordAgeInSeconds", -1))
    if oldest < 0:
        return records
    since = time.time() - oldest
    return [record for record in records if float(record["dynamodb"]["ApproximateCreationDateTime"]) >= since]


def _send_failed(
    esm: Record, function: Record, records: list[Record], result: Record, *, failures: int, condition: str
) -> None:
    destination = ((esm.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if not destination:
        return
    config, (first, last) = function["config"], (records[0]["dynamodb"], records[-1]["dynamodb"])
    context = {
        "requestId": new_uuid(),
        "functionArn": esm["FunctionArn"],
        "condition": condition,
        "approximateInvokeCount": failures,
    }
    batch = {
        "shardId": "shardId-00000000000000000000-00000000",
        "startSequenceNumber": first["SequenceNumber"],
        "endSequenceNumber": last["SequenceNumber"],
        "approximateArrivalOfFirstRecord": destinations.timestamp(float(first["ApproximateCreationDateTime"])),
        "approximateArrivalOfLastRecord": destinations.timestamp(float(last["ApproximateCreationDateTime"])),
        "batchSize": len(records),
        "streamArn": esm["EventSourceArn"],
    }
    record = {
        "requestContext": context,
        "responseContext": destinations.response_context(config, result),
        "version": "1.0",
        "timestamp": destinations.timestamp(time.time()),
        "DDBStreamBatchInfo": batch,
    }
    destinations.send(actor(config), destination, json.dumps(record))


def install() -> None:
    """Make the emulator read sources in this way.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(lambda_svc, "_create_esm", _create, "data")
    mapping = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    wrap(mapping, "create", _provision, "logical_id", "props", "stack_name")
    wrap(lambda_svc, "_sqs_esm_concurrency", _queue_concurrency, "esm", "func_rec", "config", "queue")
    wrap(
        lambda_svc,
        "_run_sqs_batch",
        _run_queue_batch,
        *("esm", "func_rec", "event", "batch", "queue_url", "queue_name"),
    )
    wrap(lambda_svc, "_poll_dynamodb_streams", _poll_streams)
