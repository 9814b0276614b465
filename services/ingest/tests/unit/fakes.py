"""In-memory stand-ins for the interfaces of `ingest`, killed at any write if wanted, and events as AWS sends them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.runtime import routes
from services.ingest.runtime.api import handler
from services.ingest.runtime.consumer import Consumer, Task
from services.ingest.runtime.errors import JobNotFoundError, PayloadLostError
from services.ingest.runtime.logic import Jobs, Planner, Records, Worker
from services.ingest.runtime.messages import batch_message, job_message
from services.ingest.runtime.model import PLAN, Failure, GivenUp, Job, Record, RecordStatus, StoredRecord, owner_of
from slipway.testing.functions import Answer, Context, answer_of, named, rest_event, sqs_event
from slipway_runtime.http import Cors

LIFETIME = timedelta(hours=24)
DEADLINE = timedelta(hours=6)
MAX_RECEIVES = 4
KEY = "k" * 40
OWNER = owner_of(KEY)


class Killed(BaseException):
    """The process was killed: no `except Exception` sees it."""


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@dataclass
class Fate:
    """What happens at a write: `before` and `after` count down to a kill; `failure` is raised instead of any call."""

    before: int | None = None
    after: int | None = None
    failure: Exception | None = None

    def write(self, do: Callable[[], None]) -> None:
        self.call()
        self.before = self._count(self.before)
        do()
        self.after = self._count(self.after)

    def call(self) -> None:
        if self.failure:
            raise self.failure

    @staticmethod
    def _count(left: int | None) -> int | None:
        if left == 0:
            raise Killed
        return None if left is None else left - 1


@dataclass
class MemoryRecords:
    """`RecordStorage` in a dict."""

    fate: Fate
    stored: dict[str, StoredRecord] = field(default_factory=dict)
    finished: Counter[str] = field(default_factory=Counter)

    def create(self, record: Record, inline: str | None) -> None:
        self.fate.write(lambda: self.stored.update({record.id: StoredRecord(record, inline)}))

    def get(self, record_id: str) -> StoredRecord | None:
        self.fate.call()
        return self.stored.get(record_id)

    def get_all(self, record_ids: Sequence[str]) -> Mapping[str, StoredRecord]:
        self.fate.call()
        return {record_id: self.stored[record_id] for record_id in record_ids if record_id in self.stored}

    def pending(self, owner: str, since: str) -> Sequence[str]:
        self.fate.call()
        return [
            record.id
            for record, _ in self.stored.values()
            if record.owner == owner and record.status is RecordStatus.PENDING and record.created_at > since
        ]

    def finish(self, record_id: str, status: RecordStatus, *, job: str, at: str, reason: str | None) -> RecordStatus:
        self.fate.call()
        record, inline = self.stored.get(record_id, (None, None))
        if record is None:
            return RecordStatus.FAILED
        if record.status is not RecordStatus.PENDING:
            return record.status

        def write() -> None:
            self.finished[record_id] += 1
            ended = replace(record, status=status, completed_at=at, reason=reason)
            self.stored[record_id] = StoredRecord(ended, inline)

        self.fate.write(write)
        return status

    def change(self, record_id: str, **changes: Any) -> None:
        record, inline = self.stored[record_id]
        self.stored[record_id] = StoredRecord(replace(record, **changes), inline)


@dataclass
class MemoryPayloads:
    """`PayloadStorage` in a dict."""

    fate: Fate
    stored: dict[str, bytes] = field(default_factory=dict)

    def put(self, record_id: str, payload: bytes) -> None:
        self.fate.write(lambda: self.stored.update({record_id: payload}))

    def get(self, record_id: str) -> bytes:
        self.fate.call()
        try:
            return self.stored[record_id]
        except KeyError:
            raise PayloadLostError from None


@dataclass
class MemoryPlans:
    """`PlanStorage` in a dict."""

    fate: Fate
    stored: dict[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def put(self, job_id: str, batches: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
        self.fate.write(lambda: self.stored.update({job_id: self.stored.get(job_id, batches)}))
        return self.stored[job_id]

    def get(self, job_id: str) -> Sequence[Sequence[str]]:
        self.fate.call()
        return self.stored[job_id]


@dataclass
class MemoryJobs:
    """`JobStorage` in a dict, with the conditions of the table."""

    fate: Fate
    stored: dict[str, Job] = field(default_factory=dict)

    def create(self, job: Job) -> None:
        self.fate.write(lambda: self.stored.update({job.id: job}))

    def get(self, job_id: str) -> Job | None:
        self.fate.call()
        return self.stored.get(job_id)

    def plan(self, job_id: str, *, total: int, batches: int) -> None:
        job = self.stored[job_id]
        if job.total is None:
            given_up = {part: why for part, why in job.given_up.items() if part != PLAN}
            self._write(replace(job, total=total, open=frozenset(range(batches)), given_up=given_up))

    def close(self, job: Job, batch: int, *, completed: int, failures: Sequence[Failure]) -> None:
        now = self.stored[job.id]
        if batch in now.open:
            self._write(
                replace(
                    now,
                    completed=now.completed + completed,
                    failed=now.failed + len(failures),
                    failures=[*now.failures, *failures],
                    open=now.open - {batch},
                    given_up={part: why for part, why in now.given_up.items() if part != str(batch)},
                )
            )

    def give_up(self, job_id: str, part: str, given_up: GivenUp) -> None:
        if job_id not in self.stored:
            raise JobNotFoundError
        job = self.stored[job_id]
        self._write(replace(job, given_up={**job.given_up, part: given_up}))

    def take_back(self, job_id: str, part: str) -> None:
        job = self.stored[job_id]
        self._write(replace(job, given_up={name: why for name, why in job.given_up.items() if name != part}))

    def _write(self, job: Job) -> None:
        self.fate.write(lambda: self.stored.update({job.id: job}))


@dataclass
class MemoryQueue:
    """`Queue` and `Inbox` in a list."""

    fate: Fate
    sent: list[tuple[str, str | None]] = field(default_factory=list)
    postponed: list[int] = field(default_factory=list)

    def send(self, bodies: Sequence[str], *, reason: str | None = None) -> None:
        for body in bodies:
            self.fate.write(lambda body=body: self.sent.append((body, reason)))  # type: ignore[misc]

    def postpone(self, receipt: str, seconds: int) -> None:
        self.fate.call()
        self.postponed.append(seconds)

    def take(self) -> list[str]:
        bodies = [body for body, _ in self.sent]
        self.sent.clear()
        return bodies


class Service:
    """All of `ingest` over fakes: the API through its own handler, the functions behind the queues as consumers."""

    def __init__(self) -> None:
        self.fate, self.clock, self.context = Fate(), Clock(), Context(remaining=60_000)
        self.storage, self.payloads = MemoryRecords(self.fate), MemoryPayloads(self.fate)
        self.job_storage, self.plans = MemoryJobs(self.fate), MemoryPlans(self.fate)
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
        """Has a message of the job queue handled; returns what comes again."""

        def read(text: str) -> Task:
            message = job_message(text)
            return Task(message.job, PLAN, lambda: self.planner.plan(message))

        return self._answer(read, [body], receives)

    def work(self, bodies: Iterable[str], receives: int = 1) -> list[str]:
        """Has messages of the work queue handled; returns what comes again."""

        def read(text: str) -> Task:
            message = batch_message(text)
            return Task(message.job, str(message.batch), lambda: self.worker.work(message))

        return self._answer(read, list(bodies), receives)

    def run(self, owner: str = OWNER) -> Job:
        """A job from its start to its end."""
        job = self.jobs.start(owner)
        for body in self.job_queue.take():
            self.plan(body)
        self.work(self.work_queue.take())
        return self.job_storage.stored[job.id]

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
    """A request as the REST API hands it over."""
    sent = {**({} if key is None else {"X-API-Key": key}), **named(headers)}
    identity = {"apiKey": key, "apiKeyId": "abcdef1234"}
    return rest_event(method, path, body=body, headers=sent, query=query, identity=identity)
