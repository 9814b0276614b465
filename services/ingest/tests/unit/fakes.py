"""`ingest` over tables and a bucket in this process, killed at any write if wanted, and events as AWS sends them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.runtime import routes
from services.ingest.runtime.api import handler
from services.ingest.runtime.consumer import Consumer, Task
from services.ingest.runtime.logic import Jobs, Planner, Records, Worker
from services.ingest.runtime.messages import batch_message, job_message
from services.ingest.runtime.model import PLAN, Job, Record, RecordStatus, owner_of
from services.ingest.runtime.storage import BY_PENDING, DynamoDBJobs, DynamoDBRecords, S3Payloads, S3Plans, SqsQueue
from slipway.testing.functions import Answer, Context, answer_of, named, rest_event, sqs_event
from slipway.testing.in_process import InProcess
from slipway_runtime.http import Cors

LIFETIME = timedelta(hours=24)
DEADLINE = timedelta(hours=6)
MAX_RECEIVES = 4
KEY = "k" * 40
OWNER = owner_of(KEY)


class Killed(BaseException):
    """The process was killed: no `except Exception` catches this."""


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Fate:
    """What happens at a write: `before` and `after` count down to a kill; `failure` is raised by any call."""

    before: int | None = None
    after: int | None = None
    failure: Exception | None = None

    def begin(self, operation: str) -> None:
        if self.failure:
            raise self.failure
        if not operation.startswith(("Get", "BatchGet", "Query")):
            self.before = self._count(self.before)

    def end(self, operation: str) -> None:
        if not operation.startswith(("Get", "BatchGet", "Query")):
            self.after = self._count(self.after)

    @staticmethod
    def _count(left: int | None) -> int | None:
        if left == 0:
            raise Killed
        return None if left is None else left - 1


class WatchedRecords(DynamoDBRecords):
    """Count the writes that finish each record, by giving each its own time."""

    finished: Counter[str]

    def finish(self, record_id: str, status: RecordStatus, *, job: str, at: str, reason: str | None) -> RecordStatus:
        before = self.get(record_id)
        try:
            return super().finish(record_id, status, job=job, at=f"{at}{self.finished.total()}", reason=reason)
        finally:
            self.finished[record_id] += self.get(record_id) != before


@dataclass
class MemoryQueue(SqsQueue):
    """A queue backed by a list."""

    fate: Fate
    sent: list[tuple[str, str | None]] = field(default_factory=list)
    postponed: list[int] = field(default_factory=list)

    def send(self, bodies: Sequence[str], *, reason: str | None = None) -> None:
        for body in bodies:
            self.fate.begin("SendMessage")
            self.sent.append((body, reason))
            self.fate.end("SendMessage")

    def postpone(self, receipt: str, seconds: int) -> None:
        self.fate.begin("ChangeMessageVisibility")
        self.postponed.append(seconds)

    def take(self) -> list[str]:
        bodies = [body for body, _ in self.sent]
        self.sent.clear()
        return bodies


class Service:
    """All of `ingest` with fakes: the API through its handler, the functions behind the queues as consumers."""

    def __init__(self) -> None:
        self.fate, self.clock, self.context = Fate(), Clock(), Context(remaining=60_000)
        self.aws = InProcess()
        self.aws.table("records", "id", (BY_PENDING, "pending_shard", "recency"))
        self.aws.table("jobs", "id")
        self.bucket, s3, dynamodb = self.aws.bucket(), lambda: self.aws.client("s3"), self.aws.client("dynamodb")
        self.aws.before, self.aws.after = self.fate.begin, self.fate.end
        self.storage, self.payloads = WatchedRecords(dynamodb, "records"), S3Payloads(s3, self.bucket)
        self.storage.finished = Counter()
        self.job_storage, self.plans = DynamoDBJobs(dynamodb, "jobs"), S3Plans(s3, self.bucket)
        self.job_queue, self.work_queue = MemoryQueue(self.fate), MemoryQueue(self.fate)
        self.inbox, self.dead_letters = MemoryQueue(self.fate), MemoryQueue(self.fate)
        self.records = Records(storage=self.storage, payloads=self.payloads, lifetime=LIFETIME, clock=self.clock)
        self.jobs = Jobs(
            storage=self.job_storage, queue=self.job_queue, lifetime=LIFETIME, deadline=DEADLINE, clock=self.clock
        )
        self.planner = Planner(
            records=self.storage,
            jobs=self.job_storage,
            plans=self.plans,
            queue=self.work_queue,
            lifetime=LIFETIME,
            clock=self.clock,
        )
        self.worker = Worker(records=self.storage, payloads=self.payloads, jobs=self.job_storage, clock=self.clock)
        routes.api.bind(routes.Wiring(records=self.records, jobs=self.jobs, cors=Cors("*")))

    def consumer(self, read: Callable[[str], Task]) -> Consumer:
        return Consumer(
            read=read,
            jobs=self.job_storage,
            inbox=self.inbox,
            dead_letters=self.dead_letters,
            max_receives=MAX_RECEIVES,
            clock=self.clock,
        )

    def plan(self, body: str, receives: int = 1) -> list[str]:
        """Handle a message of the job queue, and return the messages to deliver again."""

        def read(text: str) -> Task:
            message = job_message(text)
            return Task(message.job, PLAN, lambda: self.planner.plan(message))

        return self._answer(read, [body], receives)

    def work(self, bodies: Iterable[str], receives: int = 1) -> list[str]:
        """Handle messages of the work queue, and return those to deliver again."""

        def read(text: str) -> Task:
            message = batch_message(text)
            return Task(message.job, str(message.batch), lambda: self.worker.work(message))

        return self._answer(read, list(bodies), receives)

    def run(self, owner: str = OWNER) -> Job:
        """Run a job from start to end."""
        job = self.jobs.start(owner)
        for body in self.job_queue.take():
            self.plan(body)
        self.work(self.work_queue.take())
        return self.job(job.id)

    def job(self, job_id: str) -> Job:
        """Return a job from the table."""
        job = self.job_storage.get(job_id)
        assert job is not None
        return job

    def document(self, job_id: str) -> dict[str, Any]:
        """Return a job as its owner sees it now."""
        return self.job(job_id).document(self.jobs.second())

    def record(self, record_id: str) -> Record:
        """Return a record from the table."""
        stored = self.storage.get(record_id)
        assert stored is not None
        return stored.record

    def expire(self, record_id: str) -> None:
        """Set a record's expiry to long ago."""
        (item,) = (each for each in self.aws.items("records") if each["id"]["S"] == record_id)
        self.aws.client("dynamodb").put_item(TableName="records", Item=item | {"expires_at": {"N": "0"}})

    def lose(self, record_id: str) -> None:
        """Delete a record's payload from the bucket."""
        self.aws.client("s3").delete_object(Bucket=self.bucket, Key=f"payloads/{record_id}")

    @property
    def payload_ids(self) -> set[str]:
        """Return the ids of records whose payloads are in the bucket."""
        return {key.removeprefix("payloads/") for key in self.aws.objects(self.bucket) if key.startswith("payloads/")}

    def call(self, event: dict[str, Any]) -> Answer:
        return answer_of(handler, event, self.context)

    def _answer(self, read: Callable[[str], Task], bodies: list[str], receives: int) -> list[str]:
        answer = self.consumer(read).answer(sqs_event(bodies, receives=receives), self.context)  # type: ignore[arg-type]
        again = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        return [body for number, body in enumerate(bodies) if str(number) in again]


def proxy_event(
    method: str,
    path: str,
    *,
    body: Any = None,
    query: Mapping[str, str] | None = None,
    key: str | None = KEY,
    **headers: str,
) -> dict[str, Any]:
    """Return a request as the REST API passes it to the function."""
    sent = {**({} if key is None else {"X-API-Key": key}), **named(headers)}
    identity = {"apiKey": key, "apiKeyId": "abcdef1234"}
    return rest_event(method, path, body=body, headers=sent, query=query, identity=identity)
