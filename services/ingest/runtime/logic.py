"""Business logic of records and jobs, independent of HTTP."""

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid4

from services.ingest.runtime.errors import (
    JobNotFoundError,
    NotOursError,
    PayloadLostError,
    PayloadTooLargeError,
    RecordNotFoundError,
)
from services.ingest.runtime.messages import BatchMessage, JobMessage
from services.ingest.runtime.model import (
    BATCH_RECORDS,
    JOB_RECORDS,
    PAYLOAD_BYTES,
    Failure,
    Job,
    Record,
    RecordStatus,
    StoredRecord,
    carried_bytes,
)
from services.ingest.runtime.storage import (
    DynamoDBJobs,
    DynamoDBRecords,
    S3Payloads,
    S3Plans,
    SqsQueue,
)
from slipway_runtime.clock import Clock, instant, now

EXPIRED: Final = "it expired before it was processed"
PAYLOAD_LOST: Final = "its payload is not what was sent"


def second(moment: datetime) -> int:
    """Return a time as Unix time in seconds."""
    return int(moment.timestamp())


class Received(NamedTuple):
    """A record with its payload; None if the payload was lost."""

    record: Record
    payload: str | None


class Records:
    """Stores records and returns them.

    Args:
        storage: Store of records.
        payloads: Store of large payloads.
        lifetime: Time that a record is kept.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self, *, storage: DynamoDBRecords, payloads: S3Payloads, lifetime: timedelta, clock: Clock = now
    ) -> None:
        self._storage = storage
        self._payloads = payloads
        self._lifetime = lifetime
        self._clock = clock

    def create(self, owner: str, payload: str) -> Record:
        """Store a record.

        The payload is stored first, if it belongs in the bucket: a record is only visible once its payload is stored.
        An object without a record is unreachable, and the bucket's lifecycle deletes it.

        Raises:
            PayloadTooLargeError: Lambda could not carry it back.
        """
        # Every character takes at least a byte, so clearly too large payloads need no counting.
        if len(payload) > PAYLOAD_BYTES or carried_bytes(payload) > PAYLOAD_BYTES:
            raise PayloadTooLargeError
        content = payload.encode()
        moment = self._clock()
        record = Record(
            id=str(uuid4()),
            owner=owner,
            status=RecordStatus.PENDING,
            created_at=instant(moment),
            expires_at=second(moment + self._lifetime),
            size=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        if record.in_bucket:
            self._payloads.put(record.id, content)
        self._storage.create(record, None if record.in_bucket else payload)
        return record

    def get(self, owner: str, record_id: str) -> Received:
        """Return a caller's record with its payload.

        A lost payload never returns, so the record is reported as failed. The stored record does not change: a version
        that looks in the wrong place must not fail records for good.

        Raises:
            RecordNotFoundError: The caller has no record with this id, or it has expired: DynamoDB deletes it later.
        """
        stored = self._storage.get(record_id) if is_id(record_id) else None
        if stored is None or stored.record.owner != owner or stored.record.expires_at <= second(self._clock()):
            raise RecordNotFoundError
        try:
            return Received(stored.record, payload_of(stored, self._payloads))
        except PayloadLostError:
            failed = replace(stored.record, status=RecordStatus.FAILED, reason=stored.record.reason or PAYLOAD_LOST)
            return Received(failed, None)


class Jobs:
    """Starts jobs and reports their progress.

    Args:
        storage: Store of jobs.
        queue: The job queue.
        lifetime: Time that a job is kept: as long as its records.
        deadline: Time after which every message of a job has been received the maximum number of times.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self, *, storage: DynamoDBJobs, queue: SqsQueue, lifetime: timedelta, deadline: timedelta, clock: Clock = now
    ) -> None:
        self._storage = storage
        self._queue = queue
        self._lifetime = lifetime
        self._deadline = deadline
        self._clock = clock

    def start(self, owner: str) -> Job:
        """Start a job for a caller's pending records."""
        moment = self._clock()
        job = Job(
            id=str(uuid4()),
            owner=owner,
            created_at=instant(moment),
            expires_at=second(moment + self._lifetime),
            deadline=second(moment + self._deadline),
        )
        # The job first, so that the message's reader finds it. Without a message, the caller never learns of the job.
        self._storage.create(job)
        self._queue.send([JobMessage(job.id).text()])
        return job

    def get(self, owner: str, job_id: str) -> Job:
        """Return a caller's job, or raise `JobNotFoundError`."""
        job = self._storage.get(job_id) if is_id(job_id) else None
        if job is None or job.owner != owner or job.expires_at <= self.second():
            raise JobNotFoundError
        return job

    def second(self) -> int:
        """Return the current Unix time in seconds."""
        return second(self._clock())


class Planner:
    """Finds the records of a job and sends them to the work queue, batch by batch.

    After being killed, the next run continues with the same plan: the batches are equal, so a message that is sent
    twice is processed once.

    Args:
        records: Store of records.
        jobs: Store of jobs.
        plans: Store of plans.
        queue: The work queue.
        lifetime: Time that a record is kept.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self,
        *,
        records: DynamoDBRecords,
        jobs: DynamoDBJobs,
        plans: S3Plans,
        queue: SqsQueue,
        lifetime: timedelta,
        clock: Clock = now,
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._plans = plans
        self._queue = queue
        self._lifetime = lifetime
        self._clock = clock

    def plan(self, message: JobMessage) -> int:
        """Plan a job.

        Returns:
            Messages that were sent.

        Raises:
            NotOursError: The job does not exist.
        """
        job = self._jobs.get(message.job)
        if job is None:
            raise NotOursError("the job does not exist")
        if job.total is None:
            since = instant(self._clock() - self._lifetime)
            ids = sorted(self._records.pending(job.owner, since))[:JOB_RECORDS]
            made = [ids[start : start + BATCH_RECORDS] for start in range(0, len(ids), BATCH_RECORDS)]
            plan = self._plans.put(job.id, made)
            self._jobs.plan(job.id, total=sum(map(len, plan)), batches=len(plan))
            waiting = set(range(len(plan)))
        else:
            # Killed between plan and messages: open batches may not have been sent.
            plan = self._plans.get(job.id)
            waiting = set(job.open)
        messages = [
            BatchMessage(job.id, number, batch).text() for number, batch in enumerate(plan) if number in waiting
        ]
        self._queue.send(messages)
        return len(messages)


class Worker:
    """Processes the records of a batch.

    A conditional write completes each record, then another one counts the batch. If it is killed in between and run
    again, it finds what is done and does the rest; the batch is counted from its records' final states, so it does not
    matter which run completed them.

    Args:
        records: Store of records.
        payloads: Store of large payloads.
        jobs: Store of jobs.
        clock: Returns the current time. Default: the system clock.
    """

    def __init__(
        self, *, records: DynamoDBRecords, payloads: S3Payloads, jobs: DynamoDBJobs, clock: Clock = now
    ) -> None:
        self._records = records
        self._payloads = payloads
        self._jobs = jobs
        self._clock = clock

    def work(self, message: BatchMessage) -> int:
        """Process a batch.

        Returns:
            Records that this run completed.

        Raises:
            NotOursError: The job does not exist, or it is not the job of these records.
        """
        job = self._jobs.get(message.job)
        if job is None:
            raise NotOursError("the job does not exist")
        if job.total is None:
            raise NotOursError("its job has no plan")
        if message.batch not in job.open:
            return 0
        stored = self._records.get_all(message.records)
        if any(each.record.owner != job.owner for each in stored.values()):
            raise NotOursError("a record belongs to a different caller than its job")
        completed, done, failures = 0, 0, list[Failure]()
        for record_id in message.records:
            status, reason, changed = self._finish(job, stored.get(record_id))
            if status is RecordStatus.COMPLETED:
                completed += 1
                done += changed
            else:
                failures.append(Failure(reason or EXPIRED, record_id))
        self._jobs.close(job, message.batch, completed=completed, failures=failures)
        return done

    def _finish(self, job: Job, stored: StoredRecord | None) -> tuple[RecordStatus, str | None, bool]:
        """Return a record's final status, the reason of a failure, and whether this run set it."""
        if stored is None:
            return RecordStatus.FAILED, EXPIRED, False
        record = stored.record
        if record.status is not RecordStatus.PENDING:
            return record.status, record.reason, False
        moment = self._clock()
        reason = EXPIRED if record.expires_at <= second(moment) else self._process(stored)
        wanted = RecordStatus.FAILED if reason else RecordStatus.COMPLETED
        status = self._records.finish(record.id, wanted, job=job.id, at=instant(moment), reason=reason)
        return status, reason, status is wanted

    def _process(self, stored: StoredRecord) -> str | None:
        """Process a record: here its payload is read completely and compared with its digest.

        Returns:
            Why the record cannot be completed; None if it can. An exception causes a retry of the batch.
        """
        try:
            payload_of(stored, self._payloads)
        except PayloadLostError:
            return PAYLOAD_LOST
        return None


def payload_of(stored: StoredRecord, payloads: S3Payloads) -> str:
    """Return the payload of a record, from the table or the bucket, or raise `PayloadLostError`."""
    content = payloads.get(stored.record.id) if stored.inline is None else stored.inline.encode()
    if hashlib.sha256(content).hexdigest() != stored.record.sha256:
        raise PayloadLostError
    return content.decode()


def is_id(text: str) -> bool:
    """Return True if a text has the format of this service's ids."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
