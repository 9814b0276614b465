"""Actions after an item's creation: store its metadata in the bucket, and publish a message."""

from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer, IdempotencyConfig, idempotent_function

from services.items.runtime.model import Item
from slipway_runtime.exact_json import dumps

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

# A stream keeps its records for 24 hours, so no creation is repeated later.
RECORD_SECONDS: Final = 25 * 60 * 60


class CreationEffects:
    """Executes both actions once per item, however often the stream delivers its creation.

    The object's content depends only on the item, so writing it twice has the same effect as writing it once. The
    message has an id that the FIFO topic accepts once within five minutes; after that the idempotency record prevents a
    second message.

    Args:
        s3: Client of S3.
        sns: Client of SNS.
        bucket: Name of the bucket; its default encryption applies.
        topic_arn: ARN of the FIFO topic.
        persistence: Store of idempotency records.
    """

    def __init__(
        self,
        *,
        s3: "S3Client",
        sns: "SNSClient",
        bucket: str,
        topic_arn: str,
        persistence: BasePersistenceLayer,
    ) -> None:
        self._s3 = s3
        self._sns = sns
        self._bucket = bucket
        self._topic_arn = topic_arn

        def follow(*, creation: str, item: Item) -> None:
            self._store_metadata(item)
            self._notify(creation, item)

        self._follow = idempotent_function(
            follow,
            data_keyword_argument="creation",
            persistence_store=persistence,
            config=IdempotencyConfig(
                expires_after_seconds=RECORD_SECONDS,
                hash_function="sha256",
                lambda_context=_NoLease(),  # type: ignore[arg-type] # only the remaining time is used
            ),
            key_prefix="items.created",
        )

    def follow(self, item: Item) -> None:
        """Store the metadata and publish the message, unless both have been done before."""
        # With the time, because the same caller and key can create a deleted item's id again.
        self._follow(creation=f"{item.id}:{item.created_at}", item=item)

    def _store_metadata(self, item: Item) -> None:
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"items/{item.id}/metadata.json",
            Body=dumps(_metadata(item)).encode(),
            ContentType="application/json",
        )

    def _notify(self, creation: str, item: Item) -> None:
        self._sns.publish(
            TopicArn=self._topic_arn,
            Message=dumps({"event": "ItemCreated"} | _metadata(item)),
            MessageGroupId=item.id,
            MessageDeduplicationId=f"{creation}-created",
            MessageAttributes={"event": {"DataType": "String", "StringValue": "ItemCreated"}},
        )


class _NoLease:
    """A Lambda context that reports no remaining time, so that a record in progress never blocks the next attempt.

    Lambda processes a shard one invocation at a time, so the invocation that left a record in progress has died.
    Waiting for its expiry would use up the attempts of the event source mapping.
    """

    def get_remaining_time_in_millis(self) -> int:
        return 0


def _metadata(item: Item) -> dict[str, Any]:
    return {"id": item.id, "name": item.name, "status": item.status, "created_at": item.created_at}
