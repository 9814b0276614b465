"""Read a queue: handle each message, retry it, or move it to the dead letters with a reason."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from services.ingest.runtime.errors import JobNotFoundError, NotOursError
from services.ingest.runtime.logic import second
from services.ingest.runtime.model import UNANSWERED, GivenUp
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords, SqsQueue
from slipway_runtime import aws
from slipway_runtime.clock import Clock, now
from slipway_runtime.telemetry import count_fault, error_name, logger, metrics

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# A function runs for five minutes at least: so a call may outlast a minute of throttling, but not last over two
# minutes.
_ATTEMPTS: Final = 8
_READ_SECONDS: Final = 10.0

BACK_OFF_SECONDS: Final = 30
"""Seconds before the first retry of a failed message; the second retry waits twice as long, the third three times.

The visibility time-out, six times the function's, applies only to messages of a function that was killed.
"""


class Task(NamedTuple):
    """A valid message.

    Attributes:
        job: Id of its job.
        part: The part of the job that it requests.
        run: Does the work.
    """

    job: str
    part: str
    run: Callable[[], int]


class Consumer:
    """Handles one message at a time, so that each has its own outcome.

    Args:
        read: Parses a body; raises `NotOursError`.
        jobs: Store of jobs.
        inbox: The queue that the messages come from.
        dead_letters: Its dead-letter queue.
        max_receives: Number of receives before a message moves there: the queue's own `maxReceiveCount`.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self,
        *,
        read: Callable[[str], Task],
        jobs: DynamoDBJobs,
        inbox: SqsQueue,
        dead_letters: SqsQueue,
        max_receives: int,
        clock: Clock = now,
    ) -> None:
        self._read = read
        self._jobs = jobs
        self._inbox = inbox
        self._dead_letters = dead_letters
        self._max_receives = max_receives
        self._clock = clock

    def answer(self, event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Handle a batch of messages, and return those to retry."""
        if not event["Records"]:
            # Powertools treats an empty batch as one of another service. The contract check sends one.
            return {"batchItemFailures": []}

        def on_message(record: SQSRecord) -> None:
            try:
                self.handle(record, context)
            except Exception as error:
                logger.warning(
                    "message will be redelivered", extra={"message_id": record.message_id, "error": error_name(error)}
                )
                metrics.add_metric("MessagesFailed", MetricUnit.Count, 1)
                count_fault()
                raise

        # If every message failed, raising would have the same effect as naming each one, but count as an error of the
        # function.
        processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
        return process_partial_response(event=event, record_handler=on_message, processor=processor)

    def handle(self, message: SQSRecord, context: LambdaContext) -> None:
        """Handle a message, or send it to the dead letters. Any other exception causes a retry."""
        receives = int(message.attributes.approximate_receive_count)
        try:
            task = self._read(message.body)
        except NotOursError as error:
            # A retry cannot help.
            self._bury(message, str(error))
            return
        try:
            if receives >= self._max_receives:
                self._announce_end(task, context)
            count = task.run()
        except NotOursError as error:
            self._bury(message, str(error))
        except Exception as error:
            reason = error_name(error)
            logger.warning("message failed", extra={"job": task.job, "part": task.part, "error": reason})
            if receives < self._max_receives:
                self._inbox.postpone(message.receipt_handle, BACK_OFF_SECONDS * receives)
                raise
            self._give_up(task, f"the last of {self._max_receives} tries failed: {reason}", second(self._clock()))
            self._bury(message, f"the last of {self._max_receives} tries failed: {reason}")
            # Counted here, because an error that is raised is counted by the caller.
            count_fault()
        else:
            if receives >= self._max_receives:
                self._take_back(task)
            logger.info("message done", extra={"job": task.job, "part": task.part, "count": count})

    def _announce_end(self, task: Task, context: LambdaContext) -> None:
        """Record the failure in advance, in case this invocation is killed too: nothing could record it afterwards."""
        end = second(self._clock()) + context.get_remaining_time_in_millis() // 1000 + 1
        self._give_up(task, UNANSWERED, end)

    def _take_back(self, task: Task) -> None:
        """Delete the advance record: the try succeeded."""
        try:
            self._jobs.take_back(task.job, task.part)
        except Exception as error:  # noqa: BLE001 - the message is done; a job ignores the record of a finished part
            details = {"job": task.job, "part": task.part, "error": error_name(error)}
            logger.warning("advance record not deleted", extra=details)

    def _give_up(self, task: Task, reason: str, since: int) -> None:
        try:
            self._jobs.give_up(task.job, task.part, GivenUp(reason, since))
        except JobNotFoundError:
            raise NotOursError("the job does not exist") from None

    def _bury(self, message: SQSRecord, reason: str) -> None:
        self._dead_letters.send([message.body], reason=reason)
        metrics.add_metric("MessagesDead", MetricUnit.Count, 1)
        logger.error("message dead", extra={"message_id": message.message_id, "reason": reason})


class OnAws:
    """What the functions behind the queues use on AWS, from their environment variables.

    Args:
        environment: The function's variables.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        dynamodb = aws.client("dynamodb", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)
        self._environment = environment
        self.jobs = DynamoDBJobs(dynamodb, environment["JOBS_TABLE_NAME"])
        self.records = DynamoDBRecords(dynamodb, environment["TABLE_NAME"])

    def s3(self) -> "S3Client":
        """Return a client of S3, made at its first use."""
        return aws.client("s3", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)

    def sqs(self) -> "SQSClient":
        """Return a client of SQS, made at its first use."""
        return aws.client("sqs", attempts=_ATTEMPTS, read_seconds=_READ_SECONDS)

    def consumer(self, read: Callable[[str], Task]) -> Consumer:
        """Return what handles the messages of the function's queue."""
        return Consumer(
            read=read,
            jobs=self.jobs,
            inbox=SqsQueue(self.sqs, self._environment["QUEUE_URL"]),
            dead_letters=SqsQueue(self.sqs, self._environment["DEAD_LETTER_QUEUE_URL"]),
            max_receives=int(self._environment["MAX_RECEIVES"]),
        )
