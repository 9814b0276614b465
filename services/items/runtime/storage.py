"""Where items are kept: what the logic needs of a store, and DynamoDB as that store."""

from collections.abc import Callable, Mapping
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from uuid import uuid4

from botocore.exceptions import ClientError

from services.common.attributes import from_attribute, to_attribute
from services.items.runtime.errors import (
    CreationInProgressError,
    ItemExistsError,
    ItemNotFoundError,
    VersionMismatchError,
)
from services.items.runtime.model import SHARDS, Item, ItemFields, Page, shard_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

BY_RECENCY: Final = "by-recency"
BY_STATUS: Final = "by-status"
# No item has this id: ids are UUIDs.
PROBE_ID: Final = "health"

_ITEM_ATTRIBUTES: Final = ("id", "name", "description", "data", "status", "created_at", "updated_at", "version")

_Attributes = Mapping[str, Any]


class ItemStorage(Protocol):
    """What the logic needs of a store. Every write is atomic and conditional."""

    def create(self, item: Item, *, made_by: str) -> Item:
        """Keeps a new item.

        Args:
            item: The item, of a version of its own.
            made_by: Names the request, so that a repeated one is told from another.

        Returns:
            The item as it is kept: the one of before, where this same request was carried out already.

        Raises:
            ItemExistsError: The id is taken, by another request.
            CreationInProgressError: Others make and delete an item of this id right now.
        """
        ...

    def get(self, item_id: str) -> Item | None:
        """The item as last written; None where there is none."""
        ...

    def replace(self, item_id: str, fields: ItemFields, *, version: int, updated_at: str) -> Item:
        """Replaces what its writer decides, if the item still is of that version.

        Raises:
            ItemNotFoundError: There is no such item.
            VersionMismatchError: The item is of another version.
        """
        ...

    def delete(self, item_id: str, *, version: int) -> None:
        """Deletes the item, if it still is of that version.

        Raises:
            ItemNotFoundError: There is no such item.
            VersionMismatchError: The item is of another version.
        """
        ...

    def page(self, *, limit: int, before: str | None, status: str | None) -> Page:
        """Items newest first, at most `limit`, older than `before`, of one status or of any."""
        ...


class HealthProbe(Protocol):
    """Tells whether the table answers."""

    def check(self) -> None:
        """Reads the table; any exception means that it is away."""
        ...


class DynamoDBItemStorage:
    """Items in a DynamoDB table with the indexes `by-recency` and `by-status`."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def create(self, item: Item, *, made_by: str) -> Item:
        """Keeps a new item; see `ItemStorage`."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=self._attributes(item, made_by),
                ConditionExpression="attribute_not_exists(id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            attributes = self._refused_by(error, item.id)
            if attributes is None:
                # Made and deleted by others in between. Whoever asks again gets it made.
                raise CreationInProgressError from None
            existing, made_by_whom = item_from(attributes), attributes["made_by"]["S"]
            if made_by_whom == made_by:
                # Carried out before: by a request that never saw its answer, or by botocore's own retry.
                return existing
            raise ItemExistsError(existing, made_by_whom) from None
        return item

    def get(self, item_id: str) -> Item | None:
        """The item as last written, a read of its own writes included; None where there is none."""
        attributes = self._get(item_id)
        return item_from(attributes) if attributes else None

    def replace(self, item_id: str, fields: ItemFields, *, version: int, updated_at: str) -> Item:
        """Replaces an item of that version in one write; see `ItemStorage`."""
        write = uuid4().hex
        values = {
            ":name": fields.name,
            ":description": fields.description,
            ":data": fields.data,
            ":status": fields.status,
            ":status_shard": f"{fields.status}#{shard_of(item_id)}",
            ":updated_at": updated_at,
            ":write": write,
            ":version": version,
            ":next_version": version + 1,
        }
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": item_id}},
                UpdateExpression=(
                    "SET #name = :name, description = :description, #data = :data, #status = :status, "
                    "status_shard = :status_shard, updated_at = :updated_at, last_write = :write, "
                    "version = :next_version"
                ),
                ConditionExpression="version = :version",
                ExpressionAttributeNames={"#name": "name", "#data": "data", "#status": "status"},
                ExpressionAttributeValues={name: to_attribute(value) for name, value in values.items()},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            attributes = self._refused_by(error, item_id)
            if attributes is None:
                raise ItemNotFoundError from None
            if attributes.get("last_write") == {"S": write}:
                # botocore tried again a write whose answer was lost: it is ours, not another writer's.
                return item_from(attributes)
            raise VersionMismatchError from None
        return item_from(answer["Attributes"])

    def delete(self, item_id: str, *, version: int) -> None:
        """Deletes an item of that version; see `ItemStorage`."""
        try:
            self._client.delete_item(
                TableName=self._table,
                Key={"id": {"S": item_id}},
                ConditionExpression="version = :version",
                ExpressionAttributeValues={":version": to_attribute(version)},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            if self._refused_by(error, item_id) is None:
                raise ItemNotFoundError from None
            raise VersionMismatchError from None

    def page(self, *, limit: int, before: str | None, status: str | None) -> Page:
        """Merges the newest of every shard; see `ItemStorage`.

        A shard's answer ends at 1 MB. Beyond where it ended nothing of any shard can be given: an item of that shard
        may come before it. Such a page is shorter than `limit`, and more follows.
        """
        shards: list[list[Item]] = []
        # The oldest place that every shard has been read to.
        complete_to = ""
        for shard in SHARDS:
            items, ended_early = self._newest(shard, limit=limit + 1, before=before, status=status)
            shards.append(items)
            if ended_early:
                complete_to = max(complete_to, items[-1].recency)
        newest = merge(*shards, key=lambda item: item.recency, reverse=True)
        found = list(islice((item for item in newest if item.recency >= complete_to), limit + 1))
        return Page(found[:limit], more=len(found) > limit or bool(complete_to))

    def _newest(self, shard: str, *, limit: int, before: str | None, status: str | None) -> tuple[list[Item], bool]:
        index, key = (BY_RECENCY, "shard") if status is None else (BY_STATUS, "status_shard")
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": index,
            "KeyConditionExpression": "#shard = :shard",
            # `shard` is one of DynamoDB's reserved words.
            "ExpressionAttributeNames": {"#shard": key},
            "ExpressionAttributeValues": {":shard": {"S": shard if status is None else f"{status}#{shard}"}},
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if before is not None:
            query["KeyConditionExpression"] = "#shard = :shard AND recency < :before"
            query["ExpressionAttributeValues"] = {**query["ExpressionAttributeValues"], ":before": {"S": before}}
        while True:
            answer = self._client.query(**query)
            items = [item_from(attributes) for attributes in answer["Items"]]
            if "LastEvaluatedKey" not in answer or len(items) == limit:
                return items, False
            if items:
                return items, True
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _get(self, item_id: str) -> _Attributes | None:
        answer = self._client.get_item(TableName=self._table, Key={"id": {"S": item_id}}, ConsistentRead=True)
        return answer.get("Item")

    def _refused_by(self, error: ClientError, item_id: str) -> _Attributes | None:
        """The item that made a conditional write fail; None when there is none."""
        attributes = cast("dict[str, Any]", error.response).get("Item")
        return attributes or self._get(item_id)

    def _attributes(self, item: Item, made_by: str) -> dict[str, Any]:
        shard = shard_of(item.id)
        keys = {
            "shard": shard,
            "status_shard": f"{item.status}#{shard}",
            "recency": item.recency,
            "made_by": made_by,
        }
        return {name: to_attribute(value) for name, value in (item.document() | keys).items()}


class DynamoDBHealthProbe:
    """Reads one key that no item has: the least that shows the table, its key and our permissions at work.

    Args:
        client: Makes the client at the first check; it has time-outs of its own.
        table_name: Name of the table.
    """

    def __init__(self, client: "Callable[[], DynamoDBClient]", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def check(self) -> None:
        """Reads the table; any exception means that it is away."""
        self._client().get_item(TableName=self._table, Key={"id": {"S": PROBE_ID}}, ProjectionExpression="id")


def item_from(attributes: _Attributes) -> Item:
    """An item from the attributes of a table's item, or of its stream's image."""
    values = {name: from_attribute(attributes[name]) for name in _ITEM_ATTRIBUTES}
    return Item(**values | {"version": int(values["version"])})
