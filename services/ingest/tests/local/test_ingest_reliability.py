"""`ingest` loses and repeats nothing while its functions are killed, and while AWS's services fail.

The figures are printed at the end of a run.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import boto3
import httpx
import pytest

from services.ingest.runtime.model import UNANSWERED
from services.ingest.tests.local.ingest import Caller, reason
from slipway.emulator.environment import LocalEnvironment, Outputs
from slipway.redrive import redrive
from slipway.testing.behind import Behind
from slipway.testing.chaos import Killer, changes_of, short_visibility, through
from slipway.testing.faulty import Faults, FaultyProxy

CLIENTS = 16
KEYS = 4
KILLS = 30
VISIBILITY_SECONDS = 12
"""Visibility of a killed function's messages, instead of 30 and 90 minutes."""
STUCK_SECONDS = 10 * VISIBILITY_SECONDS
"""Three receptions with their timeouts, doubled for a busy machine."""


@pytest.fixture
def behind(session: Callable[..., boto3.Session], outputs: Outputs) -> Iterator[Behind]:
    behind = Behind(session(), outputs["ingest"])
    # Left by other tests
    for output in ("JobDeadLetterQueueUrl", "WorkDeadLetterQueueUrl"):
        behind.take(output)
    queues = [behind.outputs[f"{name}QueueUrl"] for name in ("Job", "Work")]
    with short_visibility(behind.session, queues, VISIBILITY_SECONDS):
        yield behind


@pytest.fixture
def http(local: LocalEnvironment) -> Iterator[httpx.Client]:
    """Return a client that closes idle connections earlier than the emulator, which closes them after 5 s."""
    context = ssl.create_default_context(cafile=str(local.emulator.ca))
    limits = httpx.Limits(keepalive_expiry=1)
    with httpx.Client(verify=context, limits=limits, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.requirement("ingest: background jobs")
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_done_twice_while_functions_are_killed(
    local: LocalEnvironment, behind: Behind, http: httpx.Client, say: Callable[[str], None]
) -> None:
    # Given callers with their own keys, while processor and worker are killed at random moments
    run = Run(behind, http, say)
    functions = [behind.outputs[f"{name}FunctionArn"] for name in ("Processor", "Worker")]
    killer = Killer(local, functions, most=KILLS)

    # When 16 clients send 2,000 records and have them processed
    with killer:
        run.send(records=2000)
        run.wait()
    before = run.report("killed", kills=killer.count)

    # Then every job is completed, or its missing parts are in the dead letters with a reason
    run.assert_ended_or_dead(before)

    # And after the dead letters are sent back, every record of every job is completed once
    run.redrive()
    run.assert_all_completed()
    assert killer.count >= KILLS / 2


@pytest.mark.requirement("ingest: background jobs")
@pytest.mark.timeout(900)
def test_nothing_is_lost_or_repeated_during_outages(
    local: LocalEnvironment, behind: Behind, http: httpx.Client, say: Callable[[str], None]
) -> None:
    # Given functions that reach DynamoDB and S3 through a proxy, which answers one request in four with a throttle or a
    # 5xx, and cuts the connection of one in fifty after carrying it out
    run = Run(behind, http, say)
    faults = Faults(refused=0.25, cut_off=0.02)
    functions = [behind.outputs[f"{name}FunctionArn"] for name in ("Api", "Processor", "Worker")]
    with (
        FaultyProxy(local.emulator, faults) as proxy,
        through(behind.session, functions, proxy, ("DYNAMODB", "S3")),
    ):
        # When records of both sizes are sent and processed, with a total outage of five seconds
        outage = threading.Timer(8, faults.outage, args=[5.0])
        outage.start()
        run.send(records=400, large=0.2)
        outage.join()
        faults.stop()
        run.wait()
    before = run.report("failing", **proxy.counts)

    # Then the same holds
    run.assert_ended_or_dead(before)
    run.redrive()
    run.assert_all_completed()
    assert proxy.counts["refused"] >= 100
    assert proxy.counts["cut_off"] >= 5


@dataclass
class Run:
    """What was sent, by whom, and with which result."""

    behind: Behind
    http: httpx.Client
    say: Callable[[str], None]
    records: dict[str, Caller] = field(default_factory=dict)
    jobs: dict[str, Caller] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        endpoint = self.behind.outputs["ApiEndpoint"]
        # A plan with very high limits, which this test does not measure
        plan = self.behind.new_plan(throttle={"rateLimit": 10_000, "burstLimit": 5_000})
        self.callers = [Caller(self.http, endpoint, self.behind.new_key(plan)) for _ in range(KEYS)]
        # An independent witness: the stream of the records table
        table = self.behind.client("dynamodb").describe_table(TableName=self.behind.outputs["TableName"])["Table"]
        self.stream: str = table["LatestStreamArn"]

    def send(self, *, records: int, large: float = 0.02) -> None:
        """Send records from 16 clients in parallel, and process them now and then, and at the end."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda client: self._client(client, records // CLIENTS, large), range(CLIENTS)))
        for caller in self.callers:
            self._start(caller)

    def wait(self) -> None:
        """Wait until both queues are empty, however long it takes, as long as they make progress."""
        quiet, last, moved = 0, -1, time.monotonic()
        while quiet <= 2:
            waiting = {name: self.behind.waiting(f"{name}QueueUrl") for name in ("Job", "Work")}
            left = sum(waiting.values())
            if left != last:
                last, moved = left, time.monotonic()
            assert time.monotonic() - moved < STUCK_SECONDS, f"stuck for {STUCK_SECONDS} s: {waiting}"
            quiet = 0 if left else quiet + 1
            time.sleep(0.5)

    def report(self, name: str, **figures: Any) -> dict[str, dict[str, Any]]:
        """Print the figures, and return the jobs as their callers see them."""
        jobs = {job: caller.job(job) for job, caller in self.jobs.items()}
        figures |= {
            "records": len(self.records),
            "jobs": len(jobs),
            "job states": dict(Counter(job["status"] for job in jobs.values())),
            "dead letters": {
                name: self.behind.waiting(name) for name in ("JobDeadLetterQueueUrl", "WorkDeadLetterQueueUrl")
            },
            "answers": dict(self.answers),
            "seconds": round(time.monotonic() - self.started, 1),
        }
        self.say(f"{name}: {json.dumps(figures)}")
        return jobs

    def assert_ended_or_dead(self, jobs: Mapping[str, Mapping[str, Any]]) -> None:
        """Assert that each job is completed, or named by the dead letters with a reason."""
        dead: dict[str, list[str | None]] = {}
        for letter in [*self._letters("JobDeadLetterQueueUrl"), *self._letters("WorkDeadLetterQueueUrl")]:
            # A dead letter without a reason was moved by SQS: it was received three times without an answer
            moved = "DeadLetterQueueSourceArn" in letter["Attributes"]
            dead.setdefault(json.loads(letter["Body"])["job"], []).append(
                reason(letter) or (UNANSWERED if moved else None)
            )
        for job_id, job in jobs.items():
            if job["status"] == "completed":
                assert job["completed"] == job["total"]
                continue
            assert job_id in dead, job
            assert all(dead[job_id]), (job, dead[job_id])
        self.say(f"reasons: {dict(Counter(why for reasons in dead.values() for why in reasons))}")

    def redrive(self) -> None:
        """Send the dead letters back until there are none."""
        sqs, outputs = self.behind.client("sqs"), self.behind.outputs
        for _ in range(5):
            sent = sum(
                redrive(sqs, source=outputs[f"{name}DeadLetterQueueUrl"], target=outputs[f"{name}QueueUrl"])
                for name in ("Job", "Work")
            )
            self.wait()
            if not sent:
                return

    def assert_all_completed(self) -> None:
        """Assert that every accepted record is completed by one change, and that every job counts its records."""
        # Records that were pending when the last job was planned, or whose answer was lost, may be in no job
        for caller in self.callers:
            caller.ended(caller.start()["id"])
        for job_id, caller in self.jobs.items():
            job = caller.job(job_id)
            assert (job["status"], job["completed"], job["failed"]) == ("completed", job["total"], 0), job
        status = {item["id"]["S"]: item["status"]["S"] for item in self.behind.items("TableName")}
        lost = [record for record in self.records if status.get(record) != "completed"]
        assert not lost, f"{len(lost)} of {len(self.records)} lost: {lost[:5]}"
        changes = Counter(
            new["id"]["S"]
            for old, new in changes_of(self.behind.session, self.stream)
            if new.get("status") == {"S": "completed"} and old.get("completed_at") != new.get("completed_at")
        )
        times = Counter(changes[record] for record in self.records)
        self.say(f"completions of a record by the table's stream: {dict(times)}")
        assert {changes[record] for record in self.records} == {1}

    def _client(self, client: int, records: int, large: float) -> None:
        caller, chance = self.callers[client % KEYS], random.Random(client)
        for number in range(1, records + 1):
            payload = f"{client}/{number}" * (1500 if chance.random() < large else 1)
            record = self._until_answered(caller, 201, "POST", "/data", json={"payload": payload})
            with self.lock:
                self.records[record["id"]] = caller
            if number == records // 2:
                self._start(caller)

    def _start(self, caller: Caller) -> None:
        job = self._until_answered(caller, 202, "POST", "/process")
        with self.lock:
            self.jobs[job["id"]] = caller

    def _until_answered(self, caller: Caller, wanted: int, method: str, path: str, **content: Any) -> dict[str, Any]:
        """Send a request like a client that retries after a 429 or 5xx."""
        for attempt in range(60):
            try:
                answer = caller.call(method, path, **content)
            except httpx.TransportError as error:
                with self.lock:
                    self.answers[type(error).__name__] += 1
                continue
            with self.lock:
                self.answers[str(answer.status_code)] += 1
            if answer.status_code == wanted:
                document: dict[str, Any] = answer.json()
                return document
            # The 500 is the gateway's, for an invocation that Lambda throttled; one from the service would be a fault
            assert answer.status_code in {429, 502, 503, 504} or "API Gateway" in answer.text, answer.text
            time.sleep(min(2.0, 0.1 * 2**attempt))
        raise AssertionError(f"{method} {path}: no answer")

    def _letters(self, output: str) -> Sequence[dict[str, Any]]:
        """Return the dead letters without removing them."""
        sqs, url = self.behind.client("sqs"), self.behind.outputs[output]
        letters: list[dict[str, Any]] = []
        while found := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            VisibilityTimeout=60,
        ).get("Messages"):
            letters += found
        for letter in letters:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=letter["ReceiptHandle"], VisibilityTimeout=0)
        return letters
