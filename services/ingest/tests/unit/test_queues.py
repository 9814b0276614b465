"""The functions behind the queues: what is processed, retried, or becomes a dead letter."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from services.ingest.runtime import logic
from services.ingest.runtime.logic import EXPIRED, PAYLOAD_LOST
from services.ingest.runtime.messages import BatchMessage, JobMessage
from services.ingest.runtime.model import PLAN, UNANSWERED, JobStatus, RecordStatus
from services.ingest.tests.unit.fakes import MAX_RECEIVES, OWNER, Killed, Service
from slipway.testing.functions import Counted

AWAY = TimeoutError("text that nobody outside may read")


def planned(service: Service, records: int) -> tuple[str, list[str]]:
    """Plan a job with this number of records, and return its id and messages."""
    for number in range(records):
        service.records.create(OWNER, f"record {number}")
    job = service.jobs.start(OWNER)
    service.plan(service.job_queue.take()[0])
    return job.id, service.work_queue.take()


class TestPlanning:
    def test_records_are_sent_in_batches_of_25(self, service: Service) -> None:
        job_id, messages = planned(service, 60)
        assert [len(json.loads(message)["records"]) for message in messages] == [25, 25, 10]
        assert service.job(job_id).total == 60

    def test_surplus_records_wait_for_the_next_job(self, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logic, "JOB_RECORDS", 30)
        for number in range(50):
            service.records.create(OWNER, f"record {number}")
        assert [service.run().total for _ in range(3)] == [30, 20, 0]

    def test_an_expired_record_is_not_in_a_job(self, service: Service) -> None:
        service.records.create(OWNER, "old")
        service.clock.pass_by(hours=24, seconds=1)
        assert service.run().total == 0

    def test_a_repeated_message_sends_the_same_batches(self, service: Service) -> None:
        # Given a plan, and a record added later
        job_id, messages = planned(service, 30)
        service.records.create(OWNER, "later")

        # When the job's message arrives again, and again after a batch was processed
        service.plan(JobMessage(job_id).text())
        assert service.work_queue.take() == messages
        service.work(messages[:1])
        service.plan(JobMessage(job_id).text())

        # Then only open batches are sent
        assert service.work_queue.take() == messages[1:]
        assert service.job(job_id).total == 30


class TestWork:
    @pytest.mark.requirement("ingest: background jobs")
    def test_a_repeated_batch_is_counted_once(self, service: Service) -> None:
        job_id, messages = planned(service, 10)
        service.work(messages * 3)
        service.work(messages)
        job = service.job(job_id)
        assert (job.completed, job.failed, job.status(0)) == (10, 0, JobStatus.COMPLETED)
        assert set(service.storage.finished.values()) == {1}

    def test_incomplete_records_fail_and_the_rest_complete(self, service: Service) -> None:
        # Given a job with a record that expires, one that is deleted, and one whose payload is lost
        alive = service.records.create(OWNER, "alive").id
        expired, gone = (service.records.create(OWNER, "x").id for _ in range(2))
        lost = service.records.create(OWNER, "x" * 5000).id
        job = service.jobs.start(OWNER)
        service.plan(service.job_queue.take()[0])
        service.expire(expired)
        service.aws.client("dynamodb").delete_item(TableName="records", Key={"id": {"S": gone}})
        service.lose(lost)

        # When it is processed
        service.work(service.work_queue.take())

        # Then the three have failed with their reasons, and the other is completed
        ended = service.job(job.id)
        assert (ended.completed, ended.failed, ended.status(0)) == (1, 3, JobStatus.FAILED)
        assert {failure.record: failure.reason for failure in ended.failures} == {
            expired: EXPIRED,
            gone: EXPIRED,
            lost: PAYLOAD_LOST,
        }
        assert service.record(alive).status is RecordStatus.COMPLETED
        assert service.record(lost).reason == PAYLOAD_LOST

    def test_a_record_that_another_job_completed_counts_in_both(self, service: Service) -> None:
        first, first_messages = planned(service, 3)
        second = service.jobs.start(OWNER)
        service.plan(service.job_queue.take()[0])
        service.work(first_messages)
        service.work(service.work_queue.take())
        for job in (first, second.id):
            assert service.job(job).completed == 3
        assert set(service.storage.finished.values()) == {1}


class TestFailures:
    @pytest.mark.parametrize(("receives", "seconds"), [(1, 30), (2, 60), (3, 90)])
    def test_a_failed_message_is_retried_after_a_pause(self, service: Service, receives: int, seconds: int) -> None:
        _, messages = planned(service, 3)
        service.worker._records = Away()  # type: ignore[assignment]
        assert service.work(messages, receives) == messages
        assert service.inbox.postponed == [seconds]
        assert not service.dead_letters.sent

    @pytest.mark.requirement("ingest: background jobs")
    def test_a_message_is_a_dead_letter_after_the_last_attempt(self, service: Service) -> None:
        job_id, messages = planned(service, 3)
        service.worker._records = Away()  # type: ignore[assignment]
        assert service.work(messages, receives=MAX_RECEIVES) == []
        assert service.dead_letters.sent == [(messages[0], f"the last of {MAX_RECEIVES} tries failed: TimeoutError")]
        document = service.document(job_id)
        assert document["status"] == "failed"
        assert document["failures"] == [
            {"record": None, "reason": f"the last of {MAX_RECEIVES} tries failed: TimeoutError"}
        ]

    def test_a_dead_letter_that_is_sent_back_completes_the_job(self, service: Service) -> None:
        job_id, messages = planned(service, 3)
        records, service.worker._records = service.worker._records, Away()  # type: ignore[assignment]
        service.work(messages, receives=MAX_RECEIVES)
        service.worker._records = records
        service.work(service.dead_letters.take())
        assert service.document(job_id)["status"] == "completed"

    @pytest.mark.requirement("ingest: background jobs")
    def test_job_killed_at_last_try_fails_once(self, service: Service) -> None:
        # Given a function that is killed during the last attempt, a minute before its timeout
        job_id, messages = planned(service, 3)
        service.fate.before = 1
        with pytest.raises(Killed):
            service.work(messages, receives=MAX_RECEIVES)
        service.fate.before = None

        # Then the job is processing while the function might still run, and has failed afterwards
        job = service.job(job_id)
        assert job.status(service.jobs.second()) is JobStatus.PROCESSING
        service.clock.pass_by(seconds=62)
        document = job.document(service.jobs.second())
        assert (document["status"], document["failures"][0]["reason"]) == ("failed", UNANSWERED)

    def test_a_successful_last_attempt_leaves_no_failure(self, service: Service) -> None:
        # Given a planner that was killed twice after storing its plan
        service.records.create(OWNER, "x")
        job = service.jobs.start(OWNER)
        service.plan(JobMessage(job.id).text())
        service.work_queue.take()
        # When its last attempt sends the messages, and the worker's last attempt processes them
        service.plan(JobMessage(job.id).text(), receives=MAX_RECEIVES)
        messages = service.work_queue.take()
        service.clock.pass_by(minutes=5)
        under_way = service.document(job.id)
        service.work(messages, receives=MAX_RECEIVES)
        # And the batch arrives once more, since its message was not deleted
        service.work(messages, receives=MAX_RECEIVES)
        service.clock.pass_by(minutes=5)
        ended = service.document(job.id)
        # Then no failure is recorded
        assert (under_way["status"], under_way["failures"]) == ("processing", [])
        assert (ended["status"], ended["failures"]) == ("completed", [])

    def test_a_completed_part_given_up_later_is_no_failure(self, service: Service) -> None:
        # Given a completed batch, and a last attempt that could not even read its job
        job_id, messages = planned(service, 1)
        service.work(messages)
        service.worker._jobs = Away()  # type: ignore[assignment]
        service.work(messages, receives=MAX_RECEIVES)
        # Then the job stays completed
        document = service.document(job_id)
        assert (document["status"], document["failures"]) == ("completed", [])

    def test_a_note_that_cannot_be_removed_fails_no_message(self, service: Service) -> None:
        job_id, messages = planned(service, 1)
        service.job_storage.take_back = Away().take_back  # type: ignore[assignment, method-assign]
        assert service.work(messages, receives=MAX_RECEIVES) == []
        assert not service.dead_letters.sent
        assert service.job(job_id).status(0) is JobStatus.COMPLETED

    def test_job_killed_before_any_record_fails_at_deadline(self, service: Service) -> None:
        job = service.jobs.start(OWNER)
        service.clock.pass_by(hours=5, minutes=59)
        assert job.status(service.jobs.second()) is JobStatus.QUEUED
        service.clock.pass_by(minutes=1)
        document = job.document(service.jobs.second())
        assert (document["status"], document["failures"]) == ("failed", [{"record": None, "reason": UNANSWERED}])

    def test_a_job_whose_planning_failed_at_the_last_try_fails(self, service: Service) -> None:
        job = service.jobs.start(OWNER)
        service.planner._plans = Away()  # type: ignore[assignment]
        assert service.plan(JobMessage(job.id).text(), receives=MAX_RECEIVES) == []
        ended = service.job(job.id)
        assert ended.status(service.jobs.second()) is JobStatus.FAILED
        assert ended.given_up[PLAN].reason == f"the last of {MAX_RECEIVES} tries failed: TimeoutError"

    @pytest.mark.requirement("ingest: background jobs")
    def test_one_bad_message_does_not_hold_up_its_batch(self, service: Service) -> None:
        job_id, messages = planned(service, 30)
        assert service.work([messages[0], "poison", messages[1]]) == []
        assert service.dead_letters.sent == [("poison", "the body is not JSON")]
        assert service.job(job_id).completed == 30

    def test_message_is_not_answered_without_dead_letters(self, service: Service) -> None:
        service.fate.failure = AWAY
        assert service.work(["poison"]) == ["poison"]

    def test_an_empty_batch_is_answered(self, service: Service) -> None:
        assert service.work([]) == []


class TestFaults:
    """Faults that a version counts for the alarms of its deployment; no message is an error to Lambda."""

    @pytest.mark.requirement("safe deployments")
    @pytest.mark.parametrize("receives", [1, 2, MAX_RECEIVES])
    def test_failed_message_counts_once_when_retried_or_dead(
        self, service: Service, counted: Counted, receives: int
    ) -> None:
        _, messages = planned(service, 30)
        service.worker._records = Away()  # type: ignore[assignment]
        assert service.work(messages, receives) == ([] if receives == MAX_RECEIVES else messages)
        assert len(counted("Faults")) == len(messages) == 2

    def test_message_refused_by_dead_letters_counts_once(self, service: Service, counted: Counted) -> None:
        # Given a last attempt that fails, and an unavailable dead letter queue
        _, messages = planned(service, 3)
        service.worker._records = Away()  # type: ignore[assignment]
        service.dead_letters.send = Away().send  # type: ignore[assignment, method-assign]
        # When it is returned for another attempt
        assert service.work(messages, receives=MAX_RECEIVES) == messages
        # Then it is counted once
        assert len(counted("Faults")) == 1

    def test_a_job_that_cannot_be_planned_is_a_fault(self, service: Service, counted: Counted) -> None:
        job = service.jobs.start(OWNER)
        service.planner._plans = Away()  # type: ignore[assignment]
        message = JobMessage(job.id).text()
        assert service.plan(message) == [message]
        assert len(counted("Faults")) == 1

    def test_processed_and_foreign_messages_are_not_faults(self, service: Service, counted: Counted) -> None:
        _, messages = planned(service, 30)
        service.work([*messages, "poison"])
        assert counted("Faults") == []


NOBODY = str(uuid4())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ("null", "the body is not a JSON object"),
        ('{"job": 1}', "the body's members are not batch, job, records"),
        ({"job": NOBODY, "batch": "0", "records": [NOBODY]}, "batch is not the number of a batch"),
        ({"job": NOBODY, "batch": -1, "records": [NOBODY]}, "batch is not the number of a batch"),
        ({"job": NOBODY, "batch": True, "records": [NOBODY]}, "batch is not the number of a batch"),
        ({"job": NOBODY, "batch": 0, "records": "x"}, "records is not a list of 1 to 25 ids"),
        ({"job": NOBODY, "batch": 0, "records": []}, "records is not a list of 1 to 25 ids"),
        ({"job": NOBODY, "batch": 0, "records": [NOBODY] * 26}, "records is not a list of 1 to 25 ids"),
        ({"job": NOBODY, "batch": 0, "records": [NOBODY, NOBODY]}, "records names a record twice"),
        ({"job": NOBODY, "batch": 0, "records": [1]}, "records is not an id of this service"),
        ({"job": NOBODY.upper(), "batch": 0, "records": [NOBODY]}, "job is not an id of this service"),
        ({"job": NOBODY, "batch": 0, "records": [NOBODY]}, "the job does not exist"),
    ],
)
def test_foreign_message_is_a_dead_letter_at_once(service: Service, body: object, reason: str) -> None:
    text = body if isinstance(body, str) else json.dumps(body)
    assert service.work([text]) == []
    assert service.dead_letters.sent == [(text, reason)]


def test_a_message_over_anothers_records_changes_nothing(service: Service) -> None:
    job_id, _ = planned(service, 1)
    theirs = service.records.create("somebody else", "x")
    service.work([BatchMessage(job_id, 0, [theirs.id]).text()])
    assert [reason for _, reason in service.dead_letters.sent] == [
        "a record belongs to a different caller than its job"
    ]
    assert service.record(theirs.id).status is RecordStatus.PENDING


class Away:
    """A store that does not answer."""

    def __getattr__(self, name: str) -> object:
        def call(*_: object, **__: object) -> object:
            raise AWAY

        return call
