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
def test_a_job_is_accepted_done_and_read(api: Harness) -> None:
    # When data is accepted
    accepted = api.post("/process", {"data": DATA})
    # Then there is a place for its result, which is not there yet
    assert accepted.status == 202
    path = accepted.location
    assert path == f"/process/{accepted.json['id']}"
    pending = api.get(path)
    assert (pending.status, pending.json["status"]) == (200, "pending")
    assert "result" not in pending.json
    # When the worker has done it
    assert api.work() == [Outcome.DONE]
    # Then it is
    done = api.get(path)
    assert done.json["status"] == "processed"
    assert done.json["result"] == {"word": "STRASSE"}
    assert done.json["created_at"] == pending.json["created_at"] < done.json["updated_at"]


@pytest.mark.requirement("processing: process")
def test_only_strings_become_upper_case_at_any_depth(api: Harness) -> None:
    body = '{"data": {"key": ["a", {"ß": "e\\u0301"}], "n": [0.10, 1e40, 12345678901234567890.5], "b": [true, null]}}'
    accepted = api.post("/process", body)
    api.work()
    assert api.get(accepted.location).json["result"] == {
        "key": ["A", {"ß": "E\u0301"}],
        "n": [Decimal("0.1"), Decimal("1E+40"), Decimal("12345678901234567890.5")],
        "b": [True, None],
    }


def test_a_job_whose_result_is_lost_says_so(api: Harness, counted: Counted) -> None:
    # Given a job that was done, and a bucket without its result
    accepted = api.post("/process", {"data": {"a": "b"}})
    api.work()
    (lost,) = api.aws.objects(api.bucket)
    api.aws.client("s3").delete_object(Bucket=api.bucket, Key=lost)
    counted("Faults")
    # When it is read
    answer = api.get(accepted.location)
    # Then it has failed, which is no fault of the version, and is counted as what it is
    assert (answer.status, answer.json["status"], answer.json["reason"]) == (200, "failed", RESULT_LOST)
    written = counted("ResultsLost")
    assert len(written) == 1
    assert not any("Faults" in line for line in written)
    # And what is stored stays: a version that looks in the wrong place harms nothing
    api.results.put(answer.json["id"], '{"a":"B"}')
    assert api.get(accepted.location).json["result"] == {"a": "B"}


class TestNothingIsLost:
    def test_the_record_comes_before_the_job(self, api: Harness) -> None:
        # Given a table that is away
        api.aws.fail(client_error("InternalServerError", "PutItem"))
        # When data comes, then it is not accepted, and no worker looks for a record that is not there
        assert api.post("/process", {"data": DATA}).status == 503
        assert not api.jobs.sent

    def test_what_was_not_handed_over_is_not_accepted(self, api: Harness) -> None:
        api.jobs.failure = client_error("TooManyRequestsException", "Invoke")
        assert api.post("/process", {"data": DATA}).status == 503

    def test_asked_again_under_its_key_it_is_handed_over(self, api: Harness) -> None:
        # Given a request that died between record and job
        api.jobs.failure = client_error("ServiceException", "Invoke")
        assert api.post("/process", {"data": DATA}, Idempotency_Key="k").status == 503
        # When the caller asks again
        api.jobs.failure = None
        accepted = api.post("/process", {"data": DATA}, Idempotency_Key="k")
        # Then the same record's job is done
        assert accepted.status == 202
        assert len(api.kept) == 1
        assert api.work() == [Outcome.DONE]
        assert api.get(accepted.location).json["result"] == {"word": "STRASSE"}

    @pytest.mark.requirement("processing: process")
    def test_a_worker_that_dies_after_the_result_does_it_again(self, api: Harness) -> None:
        # Given a worker that wrote the result and could not say so
        accepted = api.post("/process", {"data": DATA})
        api.aws.fail(KeyboardInterrupt(), "UpdateItem")
        with pytest.raises(KeyboardInterrupt):
            api.worker.do(job_of(json.loads(api.jobs.sent[0])))
        # Then the record does not promise what nobody may have written
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
        # Handed over each time, since nobody knows what became of the first; done once
        assert api.work() == [Outcome.DONE, Outcome.DONE_BEFORE, Outcome.DONE_BEFORE]
        assert api.aws.calls.count("PutObject") == 1

    def test_what_is_done_is_not_handed_over_again(self, api: Harness) -> None:
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

    def test_anothers_record_is_no_record(self, api: Harness) -> None:
        job_id = api.post("/process", {"data": DATA}).json["id"]
        assert api.worker.do(Job(BOB, job_id, '{"a":"b"}')) is Outcome.UNKNOWN
        assert not api.aws.objects(api.bucket)

    def test_what_was_only_validated_is_not_processed(self, api: Harness) -> None:
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
    def test_a_message_that_is_not_ours_is_told(self, event: Any) -> None:
        with pytest.raises(ForeignMessageError):
            job_of(event)

    def test_the_function_says_what_failed_and_nothing_of_the_data(
        self, api: Harness, capsys: pytest.CaptureFixture[str], logs: io.StringIO
    ) -> None:
        # Given a bucket that is away
        api.post("/process", {"data": {"secret": "hunter2"}})
        api.aws.fail(client_error("SlowDown", "PutObject"), "PutObject")
        worker_function.bind(api.worker)
        # When the function is sent the job
        with pytest.raises(worker_function.JobFailedError, match=r"^PutObject: SlowDown$") as failure:
            worker_function.handler(json.loads(api.jobs.sent[0]), Context())
        # Then Lambda tries again, and neither log nor error holds the data or the error's own text
        output = logs.getvalue() + capsys.readouterr().out
        assert "PutObject: SlowDown" in output
        assert failure.value.__cause__ is None
        assert "ProcessFailures" in output
        assert "hunter2" not in output
        assert "nobody" not in output
        # When it is there again
        api.aws.fail(None)
        assert worker_function.handler(json.loads(api.jobs.sent[0]), Context()) == {"outcome": "done"}
        assert "ProcessSuccesses" in capsys.readouterr().out
        assert worker_function.handler(json.loads(api.jobs.sent[0]), Context()) == {"outcome": "done before"}
        assert "ProcessSuccesses" not in capsys.readouterr().out

    def test_failed_job_is_a_lambda_error_without_extra_count(self, api: Harness, counted: Counted) -> None:
        # Given whatever may go wrong, in what it is sent or in what it asks
        worker_function.bind(api.worker)
        api.post("/process", {"data": {}})
        api.aws.fail(client_error("ThrottlingException", "GetItem"))
        for event in ("no job", json.loads(api.jobs.sent[0])):
            # When the function is invoked, then it raises, which Lambda's own metric shows to the alarms
            with pytest.raises(worker_function.JobFailedError):
                worker_function.handler(event, Context())
        assert counted("Faults") == []
