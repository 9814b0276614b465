"""Refuse changes that DynamoDB, Cognito and CloudFormation refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import cognito, dynamodb
from ministack.services.cloudformation import _exports, _stacks, handlers, provisioners, stacks

from slipway.emulator.extensions.patches import wrap

Properties = Mapping[str, Any]


# Indexes


def _indexes(properties: Properties) -> dict[str, Properties]:
    return {index["IndexName"]: index for index in properties.get("GlobalSecondaryIndexes") or []}


def _shape(index: Properties) -> Properties:
    """Return the properties of an index that can't be changed under its name."""
    return {"KeySchema": index.get("KeySchema"), "Projection": index.get("Projection")}


def refused_indexes(old: Properties, new: Properties) -> str | None:
    """Return CloudFormation's message if it refuses the change of a table's global indexes.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

    Args:
        old: The table's properties as deployed.
        new: Its properties in the template.
    """
    before, after = _indexes(old), _indexes(new)
    if any(_shape(before[name]) != _shape(after[name]) for name in before.keys() & after.keys()):
        return (
            "Cannot update GSI's properties other than Provisioned Throughput and Contributor Insights Specification. "
            "You can create a new GSI with a different name."
        )
    if len(before.keys() ^ after.keys()) > 1:
        return "Cannot perform more than one GSI creation or deletion in a single update"
    return None


def _update_table_resource(
    original: Callable[..., Any], physical_id: str, old_props: Properties, new_props: Properties, *rest: Any
) -> Any:
    replaced = any(old_props.get(name) != new_props.get(name) for name in ("TableName", "KeySchema"))
    if not replaced and (message := refused_indexes(old_props, new_props)):
        raise ValueError(f"Resource handler returned message: {message!r} (HandlerErrorCode: InvalidRequest)")
    return original(physical_id, old_props, new_props, *rest)


def _update_table(original: Callable[..., Any], data: Properties) -> Any:
    """Refuse two indexes in one update: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html."""
    updates: Iterable[Properties] = data.get("GlobalSecondaryIndexUpdates") or []
    if sum("Create" in update or "Delete" in update for update in updates) > 1:
        message = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"
        return error_response_json("LimitExceededException", message, 400)
    return original(data)


# Protected resources


def _delete_table_resource(original: Callable[..., Any], physical_id: str, props: Properties) -> Any:
    """Refuse to delete a protected table: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html."""
    if (dynamodb._tables.get(physical_id) or {}).get("DeletionProtectionEnabled"):
        raise ValueError(
            "Resource cannot be deleted as it is currently protected against deletion. "
            "Disable deletion protection first."
        )
    return original(physical_id, props)


_POOL_PROTECTED = (
    "The user pool cannot be deleted because deletion protection is activated. "
    "Deletion protection must be inactivated first."
)


def _is_protected_pool(pool_id: str) -> bool:
    """Return True if a pool is protected.

    https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-deletion-protection.html
    """
    return bool((cognito._user_pools.get(pool_id) or {}).get("DeletionProtection") == "ACTIVE")


def _delete_pool(original: Callable[..., Any], data: Properties) -> Any:
    if _is_protected_pool(data.get("UserPoolId", "")):
        return error_response_json("InvalidParameterException", _POOL_PROTECTED, 400)
    return original(data)


def _delete_pool_resource(original: Callable[..., Any], physical_id: str, props: Properties) -> Any:
    if _is_protected_pool(physical_id):
        raise ValueError(_POOL_PROTECTED)
    return original(physical_id, props)


# Exports


def _resolve_outputs(original: Callable[..., Any], *arguments: Any) -> Any:
    """Resolve a stack's outputs, unless another stack imports an export that they no longer hold.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html

    Raises:
        ValueError: An export in use is removed, renamed or changed.
    """
    outputs, exports = original(*arguments)
    name, stack_id = arguments[-2:]
    known = {key: export for key, export in list(_exports.items()) if export["StackId"] == stack_id}
    for key, export in known.items():
        if key in exports and exports[key]["Value"] == export["Value"]:
            continue
        if users := _importers(key, other_than=name):
            what = "updated" if key in exports else "deleted"
            raise ValueError(f"Export {key} cannot be {what} as it is in use by {' and '.join(users)}")
    for key in known.keys() - exports.keys():
        _exports.pop(key, None)
    return outputs, exports


def _importers(export: str, *, other_than: str) -> list[str]:
    return [
        name
        for name, stack in list(_stacks.items())
        if name != other_than
        and not stack.get("StackStatus", "").startswith("DELETE")
        and export in handlers._imported_export_names(stack, name)
    ]


def install() -> None:
    """Make the emulator refuse these changes.

    Raises:
        UnknownEmulatorError: It is another version of the emulator.
    """
    table = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    parameters = ("physical_id", "old_props", "new_props", "stack_name", "logical_id")
    wrap(table, "update", _update_table_resource, *parameters)
    wrap(table, "delete", _delete_table_resource, "physical_id", "props")
    wrap(dynamodb, "_update_table", _update_table, "data")
    pool = provisioners._RESOURCE_HANDLERS["AWS::Cognito::UserPool"]
    wrap(pool, "delete", _delete_pool_resource, "physical_id", "props")
    wrap(cognito, "_delete_user_pool", _delete_pool, "data")
    wrap(
        stacks,
        "_resolve_stack_outputs",
        _resolve_outputs,
        *("outputs_defs", "conditions", "resources", "param_values", "mappings", "stack_name", "stack_id"),
    )
