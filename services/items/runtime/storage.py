"""Storage of items on DynamoDB."""

from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from botocore.exceptions import ClientError

from services.items.runtime.errors import (
    CreationInProgressError,
    ItemExistsError,
    ItemNotFoundError,
    VersionMismatchError,
)
from services.items.runtime.model import Item, ItemFields
from slipway_runtime.attributes import from_attribute, to_attribute
from slipway_runtime.exact_json import dumps
from slipway_runtime.shards import SHARDS, shard_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

BY_RECENCY: Final = "by-recency"
BY_STATUS: Final = "by-status"

MAX_VERSIONS: Final = 100
"""Operands that DynamoDB's `IN` takes
(docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)."""

_TEXTS: Final = ("id", "name", "description", "status", "created_at", "updated_at")

_Attributes = Mapping[str, Any]


class DynamoDBItemStorage:
    """Items in a DynamoDB table with indexes by recency and by status. Every write is atomic and conditional."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def create(self, item: Item, *, made_by: str) -> Item:
        """Store a new item.

        Args:
            item: The item.
            made_by: Identifies the request, so that a repetition can be recognised.

        Returns:
            The stored item: the earlier one if the same request was already executed.

        Raises:
            ItemExistsError: The id is taken, by another request.
            CreationInProgressError: Concurrent requests are creating and deleting an item with this id.
        """
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
                # Created and deleted by others in between. Repeating the request creates it.
                raise CreationInProgressError from None
            existing, made_by_whom = item_from(attributes), attributes["made_by"]["S"]
            if made_by_whom == made_by:
                # Already executed: by a request that never received its answer, or by botocore's own retry.
                return existing
            raise ItemExistsError(existing, made_by_whom) from None
        return item

    def get(self, item_id: str) -> Item | None:
        """Return the item as last written; None if it does not exist."""
        attributes = self._get(item_id)
        return item_from(attributes) if attributes else None

    def replace(self, item_id: str, fields: ItemFields, *, versions: Sequence[int], updated_at: str) -> Item:
        """Replace the writer's part if the item has one of these versions, `MAX_VERSIONS` at most.

        Raises:
            ItemNotFoundError: The item does not exist.
            VersionMismatchError: The item has another version.
        """
        write = uuid4().hex
        condition, expected = _of_versions(versions)
        values = {
            ":name": fields.name,
            ":description": fields.description,
            ":data": fields.data,
            ":status": fields.status,
            ":status_shard": f"{fields.status}#{shard_of(item_id)}",
            ":updated_at": updated_at,
            ":write": write,
            ":one": 1,
        }
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"id": {"S": item_id}},
                UpdateExpression=(
                    "SET #name = :name, description = :description, #data = :data, #status = :status, "
                    "status_shard = :status_shard, updated_at = :updated_at, last_write = :write, "
                    "version = version + :one"
                ),
                ConditionExpression=condition,
                ExpressionAttributeNames={"#name": "name", "#data": "data", "#status": "status"},
                ExpressionAttributeValues={name: to_attribute(value) for name, value in values.items()} | expected,
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            attributes = self._refused_by(error, item_id)
            if attributes is None:
                raise ItemNotFoundError from None
            if attributes.get("last_write") == {"S": write}:
                # botocore retried a write whose answer was lost: it is ours, not another writer's.
                return item_from(attributes)
            raise VersionMismatchError from None
        return item_from(answer["Attributes"])

    def delete(self, item_id: str, *, versions: Sequence[int]) -> None:
        """Delete the item if it has one of these versions, `MAX_VERSIONS` at most.

        Raises:
            ItemNotFoundError: The item does not exist.
            VersionMismatchError: The item has another version.
        """
        condition, expected = _of_versions(versions)
        try:
            self._client.delete_item(
                TableName=self._table,
                Key={"id": {"S": item_id}},
                ConditionExpression=condition,
                ExpressionAttributeValues=expected,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            if self._refused_by(error, item_id) is None:
                raise ItemNotFoundError from None
            raise VersionMismatchError from None

    def newest(self, *, about: int, before: str | None, status: str | None) -> Iterator[Item]:
        """Yield items newest first, read lazily.

        Ids are evenly distributed, so each shard is queried for its share plus two items, and again only if they are
        used up.

        Args:
            about: Number of items that the caller probably needs.
            before: A `recency`, if only older items are wanted.
            status: Their status, if only one is wanted.
        """
        part = about // len(SHARDS) + 2
        shards = (self._newest(shard, limit=part, before=before, status=status) for shard in SHARDS)
        return merge(*shards, key=lambda item: item.recency, reverse=True)

    def _newest(self, shard: str, *, limit: int, before: str | None, status: str | None) -> Iterator[Item]:
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
            yield from map(item_from, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _get(self, item_id: str) -> _Attributes | None:
        answer = self._client.get_item(TableName=self._table, Key={"id": {"S": item_id}}, ConsistentRead=True)
        return answer.get("Item")

    def _refused_by(self, error: ClientError, item_id: str) -> _Attributes | None:
        """Return the item that made a conditional write fail; None if it does not exist."""
        attributes = cast("dict[str, Any]", error.response).get("Item")
        return attributes or self._get(item_id)

    def _attributes(self, item: Item, made_by: str) -> dict[str, Any]:
        shard = shard_of(item.id)
        values = {
            **{name: getattr(item, name) for name in _TEXTS},
            "data": item.data,
            "version": item.version,
            "shard": shard,
            "status_shard": f"{item.status}#{shard}",
            "recency": item.recency,
            "made_by": made_by,
        }
        return {name: to_attribute(value) for name, value in values.items()}


def item_from(attributes: _Attributes) -> Item:
    """Return an item from the attributes of a table's item, or of its stream's image."""
    data = attributes["data"]
    return Item(
        **{name: from_attribute(attributes[name]) for name in _TEXTS},
        # Earlier versions stored data as a map.
        data=data["S"] if "S" in data else dumps(from_attribute(data)),
        version=int(attributes["version"]["N"]),
    )


def _of_versions(versions: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """Return a condition on the version, and its values."""
    values = {f":version{number}": to_attribute(version) for number, version in enumerate(versions)}
    return f"version IN ({', '.join(values)})", values
