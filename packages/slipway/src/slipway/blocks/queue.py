"""Queues that functions read."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from slipway.blocks.acknowledgements import accept
from slipway.blocks.function import ServiceFunction
from slipway.blocks.messaging import DATA_KEY_REUSE, DeadLetterQueue
from slipway.settings.model import QueueReaderSettings

MAX_RECEIVES = 5
"""Times that a message is received before it moves to the dead letters: the minimum that AWS recommends if the reader's
concurrency is limited (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
"""

VISIBILITY_FACTOR = 6
"""Visibility time-out as a multiple of the reader's time-out: Lambda retries a throttled batch within it
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
"""

MESSAGES_STAY = Duration.days(14)
"""Maximum retention of SQS."""


class WorkQueue(sqs.Queue):
    """A queue for one function, with its own dead-letter queue: encrypted, TLS only.

    The dead-letter queue is not shared, because its messages must show which queue they came from.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        key: The service's key.
        reader: Settings of the function that reads it: its time-out determines the visibility time-out, and its
            concurrency the number of batches processed at once.
    """

    def __init__(self, scope: Construct, construct_id: str, *, key: kms.IKey, reader: QueueReaderSettings) -> None:
        dead_letters = DeadLetterQueue(scope, f"{construct_id}DeadLetters", key=key, of_a_queue=True)
        super().__init__(
            scope,
            construct_id,
            encryption=sqs.QueueEncryption.KMS,
            encryption_master_key=key,
            data_key_reuse=DATA_KEY_REUSE,
            enforce_ssl=True,
            retention_period=MESSAGES_STAY,
            visibility_timeout=Duration.seconds(VISIBILITY_FACTOR * reader.timeout_seconds),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead_letters, max_receive_count=MAX_RECEIVES),
        )
        self.reader = reader
        self.max_receives = MAX_RECEIVES
        self.longest_seconds = MAX_RECEIVES * VISIBILITY_FACTOR * reader.timeout_seconds
        """Seconds of work after which a message is done or in the dead letters, even if each reader is killed."""
        self.dead_letters = dead_letters
        """Queue for messages that were received `max_receives` times, or that the reader rejected."""


def send_to(queue: WorkQueue, *, function: ServiceFunction) -> None:
    """Let a function send to a queue.

    Args:
        queue: The queue.
        function: The sender. SQS encrypts with a data key that it requests on the sender's behalf.
    """
    function.allow(actions=["sqs:SendMessage"], resources=[queue.queue_arn])
    function.allow_data_keys()


def read_queue(
    scope: Construct, construct_id: str, *, function: ServiceFunction, queue: WorkQueue, batch_size: int
) -> lambda_.EventSourceMapping:
    """Have the alias `live` of a function read a queue, and report failures message by message.

    The function may also change a message's visibility, so that a failed one need not wait for its time-out, and send
    to the queue's dead letters, so that an unusable message arrives there with its reason.

    Args:
        scope: The compute stack.
        construct_id: Id in it.
        function: The reader. Fewer batches are processed at once than its reserved concurrency allows, because a
            throttled batch counts as received.
        queue: The queue; it knows the reader's settings.
        batch_size: Messages per batch, at most 10.

    Returns:
        The event source mapping.

    Raises:
        ValueError: The queue was made for another reader.
    """
    if function.settings != queue.reader:
        raise ValueError(f"{queue.node.path}: its reader has other settings than {function.node.path}; use the same")
    function.allow(
        actions=["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        resources=[queue.queue_arn],
    )
    function.allow(actions=["sqs:ChangeMessageVisibility"], resources=[queue.queue_arn])
    function.allow(actions=["sqs:SendMessage"], resources=[queue.dead_letters.queue_arn])
    function.allow_data_keys()
    mapping = lambda_.EventSourceMapping(
        scope,
        construct_id,
        target=function.live,
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        report_batch_item_failures=True,
        max_concurrency=queue.reader.batches,
    )
    accept(
        mapping,
        "Serverless-LambdaEventSourceMappingDestination",
        reason="Lambda accepts no failure destination for a queue: failed messages reach its dead letters by the "
        "queue's own redrive policy, or by the function with its reason.",
    )
    return mapping
