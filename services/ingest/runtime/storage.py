"""Storage of records, payloads, jobs and messages."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.exceptions import ClientError

from services.ingest.runtime.errors import JobNotFoundError, PayloadLostError
from services.ingest.runtime.model import (
    FAILURES_KEPT,
    Failure,
    GivenUp,
    Job,
    Record,
    RecordStatus,
    StoredRecord,
    pending_shards,
)
from slipway_runtime.attributes import from_attribute, to_attribute
from slipway_runtime.objects import read_object
from slipway_runtime.shards import shard_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

BY_PENDING: Final = "by-pending"
# A busy DynamoDB answers only part of a batch.
_BATCH_ATTEMPTS: Final = 8


class DynamoDBRecords:
    """Records in a DynamoDB table with the index `by-pending`, which contains only pending records."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def create(self, record: Record, inline: str | None) -> None:
        """Store a new record; repeating the call changes nothing."""
        item = {
            "id": record.id,
            "owner": record.owner,
            "status": record.status.value,
            "created_at": record.created_at,
            "expires_at": record.expires_at,
            "size": record.size,
            "sha256": record.sha256,
            "pending_shard": f"{record.owner}#{shard_of(record.id)}",
            "recency": f"{record.created_at}#{record.id}",
        }
        if inline is not None:
            item["payload"] = inline
        # Unconditional: the id is new, and botocore's second try after a lost answer writes the same.
        self._client.put_item(TableName=self._table, Item={name: to_attribute(value) for name, value in item.items()})

    def get(self, record_id: str) -> StoredRecord | None:
        """Return the record as last written; None if it does not exist."""
        answer = self._client.get_item(TableName=self._table, Key=_key(record_id), ConsistentRead=True)
        return _stored(answer["Item"]) if "Item" in answer else None

    def get_all(self, record_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        """Return the records that exist, as last written."""
        found: dict[str, StoredRecord] = {}
        wanted: Any = {
            self._table: {"Keys": [_key(record_id) for record_id in record_ids], "ConsistentRead": True},
        }
        for attempt in range(_BATCH_ATTEMPTS):
            answer = self._client.batch_get_item(RequestItems=wanted)
            for item in answer["Responses"].get(self._table, []):
                stored = _stored(item)
                found[stored.record.id] = stored
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                return found
            time.sleep(min(0.1 * 2**attempt, 5))
        raise TimeoutError("DynamoDB left keys unprocessed")

    def pending(self, owner: str, since: str) -> Sequence[str]:
        """Return the ids of a caller's pending records created after a time, oldest first within a shard."""
        return [record_id for shard in pending_shards(owner) for record_id in self._pending(shard, since)]

    def finish(self, record_id: str, status: RecordStatus, *, job: str, at: str, reason: str | None) -> RecordStatus:
        """Set a pending record's final status, once.

        Returns:
            Its status now: unchanged if it was no longer pending; `failed` if it was deleted.
        """
        values = {":status": status.value, ":at": at, ":job": job, ":pending": RecordStatus.PENDING.value}
        setting = "SET #status = :status, completed_at = :at, #job = :job"
        if reason is not None:
            values[":reason"] = reason
            setting += ", #reason = :reason"
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(record_id),
                UpdateExpression=f"{setting} REMOVE pending_shard",
                ConditionExpression="#status = :pending",
                ExpressionAttributeNames={"#status": "status", "#job": "job"}
                | ({"#reason": "reason"} if reason is not None else {}),
                ExpressionAttributeValues={name: to_attribute(value) for name, value in values.items()},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item = cast("dict[str, Any]", error.response).get("Item")
            return RecordStatus(item["status"]["S"]) if item else RecordStatus.FAILED
        return status

    def _pending(self, shard: str, since: str) -> Iterator[str]:
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": BY_PENDING,
            "KeyConditionExpression": "pending_shard = :shard AND recency > :since",
            "ExpressionAttributeValues": {":shard": {"S": shard}, ":since": {"S": since}},
        }
        while True:
            answer = self._client.query(**query)
            for item in answer["Items"]:
                yield item["id"]["S"]
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


class S3Payloads:
    """Payloads in a bucket, under `payloads/`; its default encryption applies.

    Args:
        client: Makes the client of S3 at the first use: most records need none.
        bucket: Name of the bucket.
    """

    def __init__(self, client: "Callable[[], S3Client]", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, record_id: str, payload: bytes) -> None:
        """Store a payload."""
        self._client().put_object(
            Bucket=self._bucket,
            Key=f"payloads/{record_id}",
            Body=payload,
            ContentType="text/plain; charset=utf-8",
        )

    def get(self, record_id: str) -> bytes:
        """Return the payload, or raise `PayloadLostError`."""
        payload = read_object(self._client(), self._bucket, f"payloads/{record_id}")
        if payload is None:
            raise PayloadLostError
        return payload


class S3Plans:
    """Plans in a bucket, under `jobs/`: a job's records by batch. The first plan of a job is final."""

    def __init__(self, client: "Callable[[], S3Client]", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, job_id: str, batches: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        """Store a plan unless one exists; return the stored one."""
        try:
            self._client().put_object(
                Bucket=self._bucket,
                Key=_plan_key(job_id),
                Body=json.dumps(batches).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            # Two invocations wrote at the same time: the one that lost reads what the other wrote.
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
                raise
            return self.get(job_id)
        return batches

    def get(self, job_id: str) -> Sequence[Sequence[str]]:
        """Return the stored plan."""
        body = self._client().get_object(Bucket=self._bucket, Key=_plan_key(job_id))["Body"].read()
        batches: list[list[str]] = json.loads(body)
        return batches


class DynamoDBJobs:
    """Jobs in a DynamoDB table. Every write is atomic, and harmless if repeated."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    def create(self, job: Job) -> None:
        """Store a new job."""
        item = {
            "id": job.id,
            "owner": job.owner,
            "created_at": job.created_at,
            "expires_at": job.expires_at,
            "deadline": job.deadline,
            "completed": 0,
            "failed": 0,
            "given_up": {},
            "failures": [],
        }
        self._client.put_item(TableName=self._table, Item={name: to_attribute(value) for name, value in item.items()})

    def get(self, job_id: str) -> Job | None:
        """Return the job as last written; None if it does not exist."""
        answer = self._client.get_item(TableName=self._table, Key=_key(job_id), ConsistentRead=True)
        if "Item" not in answer:
            return None
        item = answer["Item"]
        # A set is not a JSON value, so `from_attribute` does not support it.
        open_batches = item.pop("open", {"NS": []})["NS"]
        values = {name: from_attribute(value) for name, value in item.items()}
        return Job(
            id=values["id"],
            owner=values["owner"],
            created_at=values["created_at"],
            expires_at=int(values["expires_at"]),
            deadline=int(values["deadline"]),
            total=int(values["total"]) if "total" in values else None,
            completed=int(values["completed"]),
            failed=int(values["failed"]),
            open=frozenset(map(int, open_batches)),
            given_up={
                part: GivenUp(given_up["reason"], int(given_up["since"]))
                for part, given_up in values["given_up"].items()
            },
            failures=tuple(Failure(failure["reason"], failure["record"]) for failure in values["failures"]),
        )

    def plan(self, job_id: str, *, total: int, batches: int) -> None:
        """Open a job's batches, unless they have been opened before."""
        setting, values = "SET #total = :total", {":total": {"N": str(total)}}
        names = {"#total": "total", "#given_up": "given_up", "#plan": "plan"}
        if batches:
            setting += ", #open = :open"
            names["#open"] = "open"
            values[":open"] = cast("Any", {"NS": [str(batch) for batch in range(batches)]})
        self._update(
            job_id,
            f"{setting} REMOVE #given_up.#plan",
            "attribute_exists(id) AND attribute_not_exists(#total)",
            names,
            values,
        )

    def close(self, job: Job, batch: int, *, completed: int, failures: Sequence[Failure]) -> None:
        """Count a batch, unless it has been counted before: only an open one counts."""
        # Reasons only help to understand a failure; the counts are what must be exact. So this limit may be exceeded
        # slightly.
        kept = failures[: max(0, FAILURES_KEPT - len(job.failures))]
        self._update(
            job.id,
            "SET #completed = #completed + :completed, #failed = #failed + :failed, "
            "#failures = list_append(#failures, :failures) REMOVE #given_up.#part DELETE #open :set",
            "contains(#open, :batch)",
            {
                "#completed": "completed",
                "#failed": "failed",
                "#failures": "failures",
                "#given_up": "given_up",
                "#part": str(batch),
                "#open": "open",
            },
            {
                ":completed": {"N": str(completed)},
                ":failed": {"N": str(len(failures))},
                ":failures": to_attribute([failure.document() for failure in kept]),
                ":set": {"NS": [str(batch)]},
                ":batch": {"N": str(batch)},
            },
        )

    def give_up(self, job_id: str, part: str, given_up: GivenUp) -> None:
        """Record that a part of a job moves to the dead letters, or raise `JobNotFoundError`."""
        noted = self._update(
            job_id,
            "SET #given_up.#part = :given_up",
            "attribute_exists(id)",
            {"#given_up": "given_up", "#part": part},
            {":given_up": to_attribute(given_up._asdict())},
        )
        if not noted:
            raise JobNotFoundError

    def take_back(self, job_id: str, part: str) -> None:
        """Delete the record that a part moves to the dead letters, if it exists."""
        self._update(
            job_id,
            "REMOVE #given_up.#part",
            "attribute_exists(#given_up.#part)",
            {"#given_up": "given_up", "#part": part},
            {},
        )

    def _update(
        self, job_id: str, update: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> bool:
        # DynamoDB refuses an empty map of values.
        given: Any = {"ExpressionAttributeValues": values} if values else {}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(job_id),
                UpdateExpression=update,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                **given,
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True


class SqsQueue:
    """An SQS queue, to send to or to read."""

    def __init__(self, client: "Callable[[], SQSClient]", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, bodies: Sequence[str], *, reason: str | None = None) -> None:
        """Send messages, with a reason if they are dead letters. Some may arrive twice."""
        attributes: Any = {"reason": {"DataType": "String", "StringValue": reason}} if reason else {}
        for body in bodies:
            self._client().send_message(QueueUrl=self._url, MessageBody=body, MessageAttributes=attributes)

    def postpone(self, receipt: str, seconds: int) -> None:
        """Delay a message by that time, instead of the visibility time-out."""
        self._client().change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=seconds)


def _key(item_id: str) -> dict[str, Any]:
    return {"id": {"S": item_id}}


def _plan_key(job_id: str) -> str:
    return f"jobs/{job_id}.json"


def _stored(item: Mapping[str, Any]) -> StoredRecord:
    values = {name: from_attribute(value) for name, value in item.items()}
    record = Record(
        id=values["id"],
        owner=values["owner"],
        status=RecordStatus(values["status"]),
        created_at=values["created_at"],
        expires_at=int(values["expires_at"]),
        size=int(values["size"]),
        sha256=values["sha256"],
        completed_at=values.get("completed_at"),
        reason=values.get("reason"),
    )
    return StoredRecord(record, values.get("payload"))
