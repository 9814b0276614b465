"""Restore a table to its content at a point in time; the emulator itself copies the current content.

DynamoDB keeps continuous backups of a table with point-in-time recovery, and restores it as a new table with the exact
state of any second of its window
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_howitworks.html). Here each change
of such a table is recorded with the previous item, and a restore reverts the changes after that time. The record ends
with the emulator's process.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import (
    AccountRegionScopedDict,
    error_response_json,
)
from ministack.services import dynamodb
from ministack.services.cloudformation import provisioners

from slipway.emulator.extensions.patches import wrap

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Undo:
    """Reversal of a change: the item before it, or its key if it did not exist."""

    at: float
    before: Item | None
    key: Item


_changes: Any = AccountRegionScopedDict()
"""Table → its changes since `_since`, oldest first."""
_since: Any = AccountRegionScopedDict()
"""Table → time from which its changes are recorded."""


def _emit(  # noqa: PLR0917  # as the emulator calls it
    original: Callable[..., Any],
    table_name: str,
    event_name: str,
    old_item: Item | None,
    new_item: Item | None,
    replicate: bool = True,
) -> Any:
    """Record a change of a table with point-in-time recovery. Every write calls this, with or without a stream."""
    table = dynamodb._tables.get(table_name)
    if table and dynamodb._pitr_settings.get(table_name):
        item = new_item or old_item or {}
        key = {each["AttributeName"]: item[each["AttributeName"]] for each in table["KeySchema"]}
        before = None if old_item is None else json.loads(json.dumps(old_item))
        if table_name not in _changes:
            _changes[table_name] = []
        _changes[table_name].append(Undo(time.time(), before, json.loads(json.dumps(key))))
    return original(table_name, event_name, old_item, new_item, replicate)


def _begin(original: Callable[..., Any], data: Item) -> Any:
    name = dynamodb._normalize_table_name(data.get("TableName"))
    was_on = dynamodb._pitr_settings.get(name)
    answer = original(data)
    if dynamodb._pitr_settings.get(name) and not was_on:
        _since[name], _changes[name] = time.time(), []
    return answer


def _describe(original: Callable[..., Any], data: Item) -> Any:
    """Return the times to which a table can be restored."""
    status, headers, body = original(data)
    name = dynamodb._normalize_table_name(data.get("TableName"))
    if status != 200 or not dynamodb._pitr_settings.get(name):
        return status, headers, body
    answer = json.loads(body)
    recovery = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    # Times have whole seconds, and the latest one must be restorable.
    recovery["EarliestRestorableDateTime"] = int(_earliest(name))
    recovery["LatestRestorableDateTime"] = time.time()
    return status, headers, json.dumps(answer).encode()


def _earliest(name: str) -> float:
    """Return the time from which a table's changes are recorded, which for an earlier process's table is now."""
    if name not in _since:
        _since[name] = time.time()
    return float(_since[name])


def _restore(original: Callable[..., Any], data: Item) -> Any:
    """Copy a table as it is, then revert the changes after the time, the newest first."""
    source = data.get("SourceTableName") or dynamodb._normalize_table_name(data.get("SourceTableArn") or "")
    if source in dynamodb._tables and not dynamodb._pitr_settings.get(source):
        return error_response_json(
            "PointInTimeRecoveryUnavailableException",
            f"Point in time recovery is not enabled for table '{source}'",
            400,
        )
    moment = time.time() if data.get("UseLatestRestorableTime") else float(data.get("RestoreDateTime") or time.time())
    if source in dynamodb._tables and not int(_earliest(source)) <= moment <= time.time():
        return error_response_json("InvalidRestoreTimeException", "RestoreDateTime is out of the recovery window", 400)
    later = [each for each in _changes.get(source, []) if each.at > moment]
    answer = original(data)
    if answer[0] != 200:
        return answer
    target = data["TargetTableName"]
    for change in reversed(later):
        if change.before is None:
            dynamodb._delete_item({"TableName": target, "Key": change.key})
        else:
            dynamodb._put_item({"TableName": target, "Item": change.before})
    return answer


def _follow(props: Item, physical_id: str) -> None:
    """Turn recovery on or off as a template says, which the emulator ignores."""
    wanted = (props.get("PointInTimeRecoverySpecification") or {}).get("PointInTimeRecoveryEnabled")
    enabled = str(wanted).lower() == "true"
    if enabled != bool(dynamodb._pitr_settings.get(physical_id)):
        specification = {"PointInTimeRecoveryEnabled": enabled}
        dynamodb._update_continuous_backups(
            {"TableName": physical_id, "PointInTimeRecoverySpecification": specification}
        )


def _create_resource(original: Callable[..., Any], logical_id: str, props: Item, stack_name: str) -> Any:
    made = original(logical_id, props, stack_name)
    _follow(props, made[0])
    return made


def _update_resource(original: Callable[..., Any], physical_id: str, old: Item, new: Item, *rest: Any) -> Any:
    made = original(physical_id, old, new, *rest)
    _follow(new, made[0])
    return made


def install() -> None:
    """Install the replacements.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    wrap(dynamodb, "_emit_stream_event", _emit, "table_name", "event_name", "old_item", "new_item", "replicate")
    for name, replacement in (
        ("_update_continuous_backups", _begin),
        ("_describe_continuous_backups", _describe),
        ("_restore_table_to_point_in_time", _restore),
    ):
        wrap(dynamodb, name, replacement, "data")
    table = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    wrap(table, "create", _create_resource, "logical_id", "props", "stack_name")
    wrap(table, "update", _update_resource, "physical_id", "old_props", "new_props", "stack_name", "logical_id")
