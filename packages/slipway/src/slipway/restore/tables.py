"""Restore a table to a point in time, as a new table, and compare every item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery.Tutorial.html. A restored table has
the data, indexes, capacity and encryption; it has no auto scaling, policies, alarms, tags, stream, time to live or
point-in-time recovery (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableToPointInTime.html).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from slipway.errors import SlipwayError
from slipway.restore.comparison import RestoredCopy, compare_contents

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_NAME = 255
POLL_SECONDS = 5.0


class RestoreError(SlipwayError):
    """A table or bucket cannot be restored. The message says why and what to do."""


def check_table(client: DynamoDBClient, table: str, to: datetime) -> None:
    """Check that a table can be restored to a point in time.

    Raises:
        RestoreError: It has no point-in-time recovery, or the time is outside its window.
    """
    found = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = found.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        raise RestoreError(f"{table} has no point-in-time recovery: restore a recovery point of its backup vault")
    earliest, latest = recovery.get("EarliestRestorableDateTime"), recovery.get("LatestRestorableDateTime")
    if (earliest and to < earliest) or (latest and to > latest):
        raise RestoreError(f"{table} can be restored to a time from {earliest} to {latest}, not to {to}")


def restore_table(
    client: DynamoDBClient,
    table: str,
    copy: str,
    to: datetime,
    *,
    say: Callable[[str], None],
    poll_seconds: float = POLL_SECONDS,
) -> RestoredCopy:
    """Restore a table as a new one, and compare every item of the two.

    Args:
        client: DynamoDB in the table's account and region.
        table: Name of the table.
        copy: Name of the new table.
        to: The point in time.
        say: Called with each step.
        poll_seconds: Pause between two polls.

    Raises:
        RestoreError: It cannot be restored.
        ClientError: DynamoDB refuses.
    """
    began = time.monotonic()
    described = client.describe_table(TableName=table)["Table"]
    key = described.get("SSEDescription", {}).get("KMSMasterKeyArn")
    override: dict[str, Any] = (
        {"SSESpecificationOverride": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}} if key else {}
    )
    client.restore_table_to_point_in_time(SourceTableName=table, TargetTableName=copy, RestoreDateTime=to, **override)
    say(f"{table}: {copy} is being restored")
    while (status := client.describe_table(TableName=copy)["Table"]["TableStatus"]) != "ACTIVE":
        if status not in {"CREATING", "UPDATING"}:
            raise RestoreError(f"{copy} is {status}, not restored")
        time.sleep(poll_seconds)
    restored_at = time.monotonic()
    say(f"{table}: comparing every item with {copy}")
    keys = [each["AttributeName"] for each in described["KeySchema"]]
    present, restored = _digests(client, table, keys), _digests(client, copy, keys)
    return RestoredCopy(
        source=table,
        copy=copy,
        present=len(present),
        restored=len(restored),
        **compare_contents(present, restored),
        seconds=(restored_at - began, time.monotonic() - restored_at),
    )


def _digests(client: DynamoDBClient, table: str, keys: list[str]) -> dict[str, str]:
    """Return key → digest of every item, so that a large table fits into memory."""
    found: dict[str, str] = {}
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for item in (each for page in pages for each in page["Items"]):
        name = "/".join(str(next(iter(item[key].values()))) for key in keys)
        text = json.dumps(item, sort_keys=True, default=_plain)
        found[name] = hashlib.sha256(text.encode()).hexdigest()
    return found


def _plain(value: object) -> object:
    """Return bytes as text and sets as sorted lists: JSON has neither."""
    return value.hex() if isinstance(value, bytes) else sorted(map(str, value))  # type: ignore[call-overload]  # a set
