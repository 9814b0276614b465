"""`POST /process`, the worker, and `GET /process/{id}`."""

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from services.processing.runtime import worker as worker_function
from services.processing.runtime.errors import ForeignMessageError
from services.processing.runtime.jobs import job_of
from services.processing.runtime.logic import RESULT_LOST
from services.processing.runtime.model import Job, Outcome, Status
from services.processing.tests.unit.fakes import ALICE, BOB, Harness
from slipway.testing.functions import Context, Counted, client_error

DATA = {"word": "straße"}


@pytest.mark.requirement("processing: routes")
def test_a_job_is_accepted_processed_and_read(api: Harness) -> None:
    # When data is accepted
    accepted = api.post("/process", {"data": DATA})
    # Then there is a location for its result, which is still pending
    assert accepted.status == 202
    path = accepted.location
    assert path == f"/process/{accepted.json['id']}"
    pending = api.get(path)
    assert (pending.status, pending.json["status"]) == (200, "pending")
    assert "result" not in pending.json
    # When the worker has processed it
    assert api.work() == [Outcome.DONE]
    # Then the result is available
    done = api.get(path)
    assert done.json["status"] == "processed"
    assert done.json["result"] == {"word": "STRASSE"}
    assert done.json["created_at"] == pending.json["created_at"] < done.json["updated_at"]


@pytest.mark.requirement("processing: process")
def test_only_strings_are_converted_at_any_depth(api: Harness) -> None:
    body = '{"data": {"key": ["a", {"ß": "e\\u0301"}], "n": [0.10, 1e40, 12345678901234567890.5], "b": [true, null]}}'
    accepted = api.post("/process", body)
    api.work()
    assert api.get(accepted.location).json["result"] == {
        "key": ["A", {"ß": "E\u0301"}],
        "n": [Decimal("0.1"), Decimal("1E+40"), Decimal("12345678901234567890.5")],
        "b": [True, None],
    }


def test_a_job_with_a_lost_result_has_failed(api: Harness, counted: Counted) -> None:
    # Given a processed job, and a bucket without its result
    accepted = api.post("/process", {"data": {"a": "b"}})
    api.work()
    (lost,) = api.aws.objects(api.bucket)
    api.aws.client("s3").delete_object(Bucket=api.bucket, Key=lost)
    counted("Faults")
    # When it is read
    answer = api.get(accepted.location)
    # Then it has failed, which is counted as a lost result and not as a fault of the version
    assert (answer.status, answer.json["status"], answer.json["reason"]) == (200, "failed", RESULT_LOST)
    written = counted("ResultsLost")
    assert len(written) == 1
    assert not any("Faults" in line for line in written)
    # And the stored record is unchanged: a version that looks in the wrong place does no harm
    api.results.put(answer.json["id"], '{"a":"B"}')
    assert api.get(accepted.location).json["result"] == {"a": "B"}


class TestNothingIsLost:
    def test_the_record_comes_before_the_job(self, api: Harness) -> None:
        # Given an unavailable table
        api.aws.fail(client_error("InternalServerError", "PutItem"))
        # When data is sent, then it is not accepted, and no job is sent for a missing record
        assert api.post("/process", {"data": DATA}).status == 503
        assert not api.jobs.sent

    def test_a_job_that_was_not_sent_is_not_accepted(self, api: Harness) -> None:
        api.jobs.failure = client_error("TooManyRequestsException", "Invoke")
        assert api.post("/process", {"data": DATA}).status == 503

    def test_a_retry_with_the_same_key_sends_the_job(self, api: Harness) -> None:
        # Given a request that failed between record and job
        api.jobs.failure = client_error("ServiceException", "Invoke")
        assert api.post("/process", {"data": DATA}, Idempotency_Key="k").status == 503
        # When the caller retries
        api.jobs.failure = None
        accepted = api.post("/process", {"data": DATA}, Idempotency_Key="k")
        # Then the same record's job is processed
        assert accepted.status == 202
        assert len(api.kept) == 1
        assert api.work() == [Outcome.DONE]
        assert api.get(accepted.location).json["result"] == {"word": "STRASSE"}

    @pytest.mark.requirement("processing: process")
    def test_a_worker_that_crashes_after_the_result_retries(self, api: Harness) -> None:
        # Given a worker that wrote the result, but crashed before updating the record
        accepted = api.post("/process", {"data": DATA})
        api.aws.fail(KeyboardInterrupt(), "UpdateItem")
        with pytest.raises(KeyboardInterrupt):
            api.worker.do(job_of(json.loads(api.jobs.sent[0])))
        # Then the record does not promise a result
        assert api.get(accepted.location).json["status"] == "pending"
        # When Lambda sends the job again
        api.aws.fail(None)
        assert api.work() == [Outcome.DONE]
        assert api.get(accepted.location).json["result"] == {"word": "STRASSE"}


class TestIdempotencyKey:
    def test_requests_under_a_key_are_one_job(self, api: Harness) -> None:
        answers = [api.post("/process", {"data": DATA}, Idempotency_Key="k") for _ in range(3)]
        assert len({answer.text for answer in answers}) == 1
        assert len(api.kept) == 1
        # Sent each time, since the first may have been lost; processed once
        assert api.work() == [Outcome.DONE, Outcome.DONE_BEFORE, Outcome.DONE_BEFORE]
        assert api.aws.calls.count("PutObject") == 1

    def test_a_processed_job_is_not_sent_again(self, api: Harness) -> None:
        api.post("/process", {"data": DATA}, Idempotency_Key="k")
        api.work()
        again = api.post("/process", {"data": DATA}, Idempotency_Key="k")
        assert (again.status, again.json["status"]) == (202, "processed")
        assert not api.jobs.sent

    def test_other_data_under_the_key_is_refused(self, api: Harness) -> None:
        api.post("/process", {"data": DATA}, Idempotency_Key="k")
        answer = api.post("/process", {"data": {}}, Idempotency_Key="k")
        assert (answer.status, answer.fields) == (422, ["Idempotency-Key"])
        assert len(api.jobs.sent) == 1

    def test_a_key_belongs_to_its_caller(self, api: Harness) -> None:
        first = api.post("/process", {"data": DATA}, Idempotency_Key="k")
        second = api.post("/process", {"data": {}}, owner=BOB, Idempotency_Key="k")
        assert second.status == 202
        assert first.json["id"] != second.json["id"]

    def test_without_a_key_two_requests_are_two_jobs(self, api: Harness) -> None:
        ids = {api.post("/process", {"data": DATA}).json["id"] for _ in range(2)}
        assert len(ids) == 2


class TestWorker:
    def test_a_job_without_a_record_writes_nothing(self, api: Harness) -> None:
        assert api.worker.do(Job(ALICE, "none", '{"a":"b"}')) is Outcome.UNKNOWN
        assert not api.aws.objects(api.bucket)

    def test_another_users_record_is_not_found(self, api: Harness) -> None:
        job_id = api.post("/process", {"data": DATA}).json["id"]
        assert api.worker.do(Job(BOB, job_id, '{"a":"b"}')) is Outcome.UNKNOWN
        assert not api.aws.objects(api.bucket)

    def test_a_validated_record_is_not_processed(self, api: Harness) -> None:
        record_id = api.post("/validate", {"data": DATA}).json["id"]
        assert api.worker.do(Job(ALICE, record_id, '{"a":"b"}')) is Outcome.UNKNOWN
        assert {record["status"] for record in api.kept} == {Status.VALIDATED}

    @pytest.mark.parametrize(
        "event",
        [
            {},
            [],
            None,
            "job",
            {"owner": "o", "id": "i"},
            {"owner": "o", "id": "i", "data": {}},
            {"owner": "", "id": "i", "data": "{}"},
            {"owner": "o", "id": "i", "data": "{}", "more": "x"},
            {"Records": [{"body": "x"}]},
        ],
        ids=str,
    )
    def test_a_foreign_message_is_reported(self, event: Any) -> None:
        with pytest.raises(ForeignMessageError):
            job_of(event)

    def test_the_functions_error_reveals_no_data(
        self, api: Harness, capsys: pytest.CaptureFixture[str], logs: io.StringIO
    ) -> None:
        # Given an unavailable bucket
        api.post("/process", {"data": {"secret": "hunter2"}})
        api.aws.fail(client_error("SlowDown", "PutObject"), "PutObject")
        worker_function.bind(api.worker)
        # When the function receives the job
        with pytest.raises(worker_function.JobFailedError, match=r"^PutObject: SlowDown$") as failure:
            worker_function.handler(json.loads(api.jobs.sent[0]), Context())
        # Then Lambda retries, and neither log nor error contains the data or the original error's message
        output = logs.getvalue() + capsys.readouterr().out
        assert "PutObject: SlowDown" in output
        assert failure.value.__cause__ is None
        assert "ProcessFailures" in output
        assert "hunter2" not in output
        assert "nobody" not in output
        # When the bucket is available again
        api.aws.fail(None)
        assert worker_function.handler(json.loads(api.jobs.sent[0]), Context()) == {"outcome": "done"}
        assert "ProcessSuccesses" in capsys.readouterr().out
        assert worker_function.handler(json.loads(api.jobs.sent[0]), Context()) == {"outcome": "done before"}
        assert "ProcessSuccesses" not in capsys.readouterr().out

    def test_failed_job_is_a_lambda_error_without_extra_count(self, api: Harness, counted: Counted) -> None:
        # Given failures of different kinds, in the event or in a dependency
        worker_function.bind(api.worker)
        api.post("/process", {"data": {}})
        api.aws.fail(client_error("ThrottlingException", "GetItem"))
        for event in ("no job", json.loads(api.jobs.sent[0])):
            # When the function is invoked, then it raises an error, which Lambda's own metric shows to the alarms
            with pytest.raises(worker_function.JobFailedError):
                worker_function.handler(event, Context())
        assert counted("Faults") == []
