"""Storage of records and results on DynamoDB and S3."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from services.processing.runtime.errors import RecordNotFoundError, ResultLostError
from services.processing.runtime.model import Page, Record, Status
from slipway_runtime.objects import read_object

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef
    from mypy_boto3_s3 import S3Client

BY_STATUS: Final = "by-status"


class DynamoDBRecordStorage:
    """Records in a DynamoDB table with the index `by-status`.

    The owner is part of both keys: no read or write can reach another owner's record, whatever id it is given.
    """

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def create(self, record: Record, *, now: int) -> Record | None:
        """Store a new record.

        Args:
            record: The record.
            now: Current Unix time in seconds; expired records count as deleted.

        Returns:
            None, or the owner's existing record with that id, which is not changed.
        """
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_item(record),
                ConditionExpression="attribute_not_exists(owned_id) OR expires_at <= :now",
                ExpressionAttributeValues={":now": {"N": str(now)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            existing = self._refused_by(error, record.owner, record.id)
            return _record(existing) if existing else record
        return None

    def get(self, owner: str, record_id: str, *, now: int) -> Record | None:
        """Return the owner's record of that id, as last written; None if it does not exist."""
        item = self._get(owner, record_id)
        if not item:
            return None
        record = _record(item)
        # DynamoDB deletes what has expired within days, not at the second.
        return record if record.expires_at > now else None

    def complete(self, owner: str, record_id: str, *, updated_at: str) -> bool:
        """Mark a pending record as processed.

        Returns:
            True if it was pending; False if it was already processed.

        Raises:
            RecordNotFoundError: The record does not exist.
        """
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(owner, record_id),
                UpdateExpression="SET #status = :processed, owner_status = :owner_status, updated_at = :updated_at",
                ConditionExpression="#status = :pending",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":pending": {"S": Status.PENDING},
                    ":processed": {"S": Status.PROCESSED},
                    ":owner_status": {"S": _partition(owner, Status.PROCESSED)},
                    ":updated_at": {"S": updated_at},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            existing = self._refused_by(error, owner, record_id)
            if existing is None or _record(existing).status is not Status.PROCESSED:
                raise RecordNotFoundError from None
            return False
        return True

    def page(self, owner: str, status: Status, *, limit: int, before: str | None, now: int) -> Page:
        """Return the owner's records of a status, newest first, at most `limit`, older than the recency `before`.

        A record has less than 1 KB, so that a page of a hundred is far from the megabyte at which a query ends early.
        """
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": BY_STATUS,
            "KeyConditionExpression": "owner_status = :partition",
            "ExpressionAttributeValues": {":partition": {"S": _partition(owner, status)}},
            "ScanIndexForward": False,
            "Limit": limit + 1,
        }
        if before is not None:
            query["KeyConditionExpression"] = "owner_status = :partition AND recency < :before"
            query["ExpressionAttributeValues"] = {**query["ExpressionAttributeValues"], ":before": {"S": before}}
        found = [_record(item) for item in self._client.query(**query)["Items"]]
        shown = found[:limit]
        return Page(
            [record for record in shown if record.expires_at > now],
            before=shown[-1].recency if len(found) > limit else None,
        )

    def _get(self, owner: str, record_id: str) -> Mapping[str, Any] | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(owner, record_id), ConsistentRead=True)
        return answer.get("Item")

    def _refused_by(self, error: ClientError, owner: str, record_id: str) -> Mapping[str, Any] | None:
        """Return the item that made a conditional write fail; None if it does not exist."""
        item = cast("dict[str, Any]", error.response).get("Item")
        return item or self._get(owner, record_id)


class S3ResultStorage:
    """Results in a bucket, as `processed/<id>.json`; the bucket's default encryption applies."""

    def __init__(self, client: "S3Client", bucket_name: str) -> None:
        self._client = client
        self._bucket = bucket_name

    def put(self, record_id: str, text: str) -> None:
        """Store a result, JSON text; repeating the call changes nothing."""
        self._client.put_object(
            Bucket=self._bucket, Key=_object(record_id), Body=text.encode(), ContentType="application/json"
        )

    def get(self, record_id: str) -> str:
        """Return the result of a processed job, or raise `ResultLostError`."""
        result = read_object(self._client, self._bucket, _object(record_id))
        if result is None:
            raise ResultLostError
        return result.decode()


def _key(owner: str, record_id: str) -> dict[str, Any]:
    return {"owned_id": {"S": f"{owner}#{record_id}"}}


def _partition(owner: str, status: Status) -> str:
    return f"{owner}#{status}"


def _object(record_id: str) -> str:
    return f"processed/{record_id}.json"


def _item(record: Record) -> dict[str, Any]:
    texts = {
        "id": record.id,
        "owner": record.owner,
        "status": record.status.value,
        "owner_status": _partition(record.owner, record.status),
        "recency": record.recency,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "digest": record.digest,
    }
    item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
    return _key(record.owner, record.id) | item | {"expires_at": {"N": str(record.expires_at)}}


def _record(item: Mapping[str, Any]) -> Record:
    return Record(
        id=item["id"]["S"],
        owner=item["owner"]["S"],
        status=Status(item["status"]["S"]),
        created_at=item["created_at"]["S"],
        updated_at=item["updated_at"]["S"],
        digest=item["digest"]["S"],
        expires_at=int(item["expires_at"]["N"]),
    )
