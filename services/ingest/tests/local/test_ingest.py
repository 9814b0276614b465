"""`ingest` on the emulator, through HTTPS and with IAM enforced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import boto3
import httpx
import pytest

from services.ingest.tests.local.ingest import Caller, open_job, reason
from slipway.emulator.environment import Outputs
from slipway.redrive import dead_letters, redrive
from slipway.testing.behind import Behind
from slipway.testing.emulated import until

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def behind(session: Callable[..., boto3.Session], outputs: Outputs) -> Behind:
    return Behind(session(), outputs["ingest"])


@pytest.fixture(scope="module")
def caller(behind: Behind, http: httpx.Client) -> Caller:
    return Caller(http, behind.outputs["ApiEndpoint"], behind.key_value())


@pytest.fixture
def stranger(behind: Behind, http: httpx.Client) -> Caller:
    """Another caller, whose key nobody used before."""
    return Caller(http, behind.outputs["ApiEndpoint"], behind.new_key())


@pytest.fixture(autouse=True)
def no_dead_letters(behind: Behind) -> None:
    """Takes away what other tests left."""
    for output in ("JobDeadLetterQueueUrl", "WorkDeadLetterQueueUrl"):
        behind.take(output)


class TestKeys:
    @pytest.mark.requirement("ingest: the usage plan")
    def test_who_calls_faster_than_the_plan_is_put_off(self, behind: Behind, caller: Caller) -> None:
        plan = behind.new_plan(throttle={"rateLimit": 1, "burstLimit": 2})
        hasty = Caller(caller.http, caller.endpoint, behind.new_key(plan))
        answers = [hasty.read(NOBODY) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {404, 429}
        assert answers[-1].json()["title"] == "Too Many Requests"

    @pytest.mark.requirement("ingest: the usage plan")
    def test_who_has_used_up_the_day_is_put_off(self, behind: Behind, caller: Caller) -> None:
        plan = behind.new_plan(quota={"limit": 3, "period": "DAY"})
        greedy = Caller(caller.http, caller.endpoint, behind.new_key(plan))
        assert [greedy.read(NOBODY).status_code for _ in range(4)] == [404, 404, 404, 429]


class TestRecords:
    @pytest.mark.requirement("ingest: records")
    @pytest.mark.parametrize(
        ("payload", "in_bucket"),
        [
            pytest.param("x", False, id="a byte"),
            pytest.param("x" * 4096, False, id="4096 bytes"),
            pytest.param("x" * 4097, True, id="4097 bytes"),
            pytest.param("€" * 1365, False, id="4095 bytes in 1365 characters"),
            pytest.param("€" * 1366, True, id="4098 bytes in 1366 characters"),
            pytest.param('\x00\t\r\n"\\\x7f\u2028😀é', False, id="what JSON escapes"),
            pytest.param("x" * 6_000_000, True, id="the largest"),
            pytest.param('"' * 1_500_000, True, id="the largest of quotes"),
            pytest.param("\x01" * 857_142, True, id="the largest of control characters"),
            pytest.param("😀" * 1_500_000, True, id="the largest of emojis"),
        ],
    )
    def test_a_payload_comes_back_whole(self, behind: Behind, caller: Caller, payload: str, in_bucket: bool) -> None:
        # When a record is sent
        record = caller.send(payload)

        # Then it comes back as it went
        read = caller.read(record["id"])
        assert read.status_code == 200
        assert read.json() == record | {"payload": payload}
        assert record["size"] == len(payload.encode())

        # And lies where it should
        item = behind.client("dynamodb").get_item(
            TableName=behind.outputs["TableName"], Key={"id": {"S": record["id"]}}
        )
        assert ("payload" in item["Item"]) is not in_bucket
        if in_bucket:
            place = {"Bucket": behind.outputs["BucketName"], "Key": f"payloads/{record['id']}"}
            assert behind.client("s3").head_object(**place)["ContentLength"] == len(payload.encode())

    @pytest.mark.requirement("ingest: records")
    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param("x" * 6_000_001, id="one more"),
            pytest.param('"' * 1_500_001, id="one quote more"),
            pytest.param("x" * 7_000_000, id="more than Lambda takes"),
        ],
    )
    def test_a_payload_over_the_limit_is_refused(self, behind: Behind, caller: Caller, payload: str) -> None:
        before = len(behind.items("TableName"))
        answer = caller.call("POST", "/data", json={"payload": payload})
        assert answer.status_code == 413
        assert answer.json()["errors"][0]["field"] in {"payload", "body"}
        assert len(behind.items("TableName")) == before

    @pytest.mark.requirement("ingest: records")
    def test_it_expires_after_a_day(self, behind: Behind, caller: Caller) -> None:
        table = behind.outputs["TableName"]
        record = caller.send("x")
        item = behind.client("dynamodb").get_item(TableName=table, Key={"id": {"S": record["id"]}})["Item"]
        assert 86_390 < int(item["expires_at"]["N"]) - time.time() < 86_410


class TestOwnership:
    @pytest.mark.requirement("ingest: routes")
    def test_a_record_is_seen_by_its_own_key_alone(self, caller: Caller, stranger: Caller) -> None:
        record = caller.send("mine")
        assert stranger.read(record["id"]).status_code == 404
        assert caller.read(record["id"]).status_code == 200

    @pytest.mark.requirement("ingest: routes")
    def test_job_and_records_are_visible_to_their_key_only(self, caller: Caller, stranger: Caller) -> None:
        mine, theirs = caller.send("mine"), stranger.send("theirs")
        job = stranger.start()
        assert stranger.ended(job["id"])["total"] == 1
        assert caller.call("GET", f"/process/{job['id']}").status_code == 404
        assert stranger.read(theirs["id"]).json()["status"] == "completed"
        assert caller.read(mine["id"]).json()["status"] == "pending"

    def test_a_message_that_mixes_two_callers_is_refused(
        self, behind: Behind, caller: Caller, stranger: Caller
    ) -> None:
        # Given a job of one caller whose batch is open
        job = open_job(behind, stranger)
        record = caller.send("mine")

        # When a message of it names another's record
        behind.put("WorkQueueUrl", {"job": job, "batch": 0, "records": [record["id"]]})

        # Then it is a dead letter, and the record stays as it is
        letter = until(lambda: behind.take("WorkDeadLetterQueueUrl"))[0]
        assert reason(letter) == "a record is of another caller than its job"
        assert caller.read(record["id"]).json()["status"] == "pending"


class TestJobs:
    @pytest.mark.requirement("ingest: background jobs")
    def test_pending_records_are_completed(self, stranger: Caller) -> None:
        # Given more records than one batch holds, one of them in the bucket
        records = [stranger.send(f"record {number}") for number in range(29)] + [stranger.send("x" * 5000)]

        # When they are processed
        job = stranger.start()
        assert (job["status"], job["total"]) == ("queued", None)
        ended = stranger.ended(job["id"])

        # Then each is completed, and counted once
        assert (ended["status"], ended["total"], ended["completed"], ended["failed"]) == ("completed", 30, 30, 0)
        for record in records:
            now = stranger.read(record["id"]).json()
            assert now["status"] == "completed"
            assert now["completed_at"] > now["created_at"]

    def test_what_is_completed_is_in_no_other_job(self, stranger: Caller) -> None:
        stranger.send("first")
        assert stranger.ended(stranger.start()["id"])["total"] == 1
        stranger.send("second")
        assert stranger.ended(stranger.start()["id"])["total"] == 1

    def test_a_record_that_expired_meanwhile_fails_with_its_reason(self, behind: Behind, stranger: Caller) -> None:
        # Given a planned job, one of whose records has expired and one is gone
        job = open_job(behind, stranger)
        alive, expired, gone = (stranger.send("x")["id"] for _ in range(3))
        expire(behind, expired)
        behind.client("dynamodb").delete_item(TableName=behind.outputs["TableName"], Key={"id": {"S": gone}})

        # When it is processed
        behind.put("WorkQueueUrl", {"job": job, "batch": 0, "records": [alive, expired, gone]})

        # Then the job says which failed and why, and the rest is done
        ended = stranger.ended(job)
        assert (ended["status"], ended["completed"], ended["failed"]) == ("failed", 1, 2)
        why = "it expired before it was worked on"
        assert ended["failures"] == [{"record": expired, "reason": why}, {"record": gone, "reason": why}]


class TestQueues:
    @pytest.mark.requirement("ingest: background jobs")
    def test_batch_of_poison_messages_becomes_dead_letters(self, behind: Behind, stranger: Caller) -> None:
        poison: list[Any] = [
            "poison",
            {"job": NOBODY},
            {"job": NOBODY, "batch": -1, "records": [NOBODY]},
            {"job": NOBODY, "batch": True, "records": [NOBODY]},
            {"job": NOBODY, "batch": 0, "records": []},
            {"job": NOBODY, "batch": 0, "records": [NOBODY, NOBODY]},
            {"job": NOBODY, "batch": 0, "records": [str(uuid4()) for _ in range(26)]},
            {"job": NOBODY, "batch": 0, "records": ["x"]},
            {"job": NOBODY, "batch": 0, "records": [NOBODY]},
            {"Records": [{"eventSource": "aws:s3"}]},
        ]
        for body in poison:
            behind.put("WorkQueueUrl", body)
        letters: list[dict[str, Any]] = []

        def all_dead() -> bool:
            letters.extend(behind.take("WorkDeadLetterQueueUrl"))
            return len(letters) >= len(poison)

        until(all_dead)
        assert all(reason(letter) for letter in letters)
        assert {letter["Body"] for letter in letters} == {
            body if isinstance(body, str) else json.dumps(body) for body in poison
        }
        until(lambda: behind.waiting("WorkQueueUrl") == 0)
        stranger.send("x")
        assert stranger.ended(stranger.start()["id"])["status"] == "completed"

    def test_batch_of_unplanned_or_finished_job_does_nothing(self, behind: Behind, stranger: Caller) -> None:
        record = stranger.send("x")
        job = stranger.start()
        ended = stranger.ended(job["id"])
        behind.put("WorkQueueUrl", {"job": job["id"], "batch": 0, "records": [record["id"]]})
        behind.put("WorkQueueUrl", {"job": job["id"], "batch": 7, "records": [record["id"]]})
        until(lambda: behind.waiting("WorkQueueUrl") == 0)
        assert stranger.job(job["id"]) == ended

    def test_failed_message_is_retried_before_its_visibility_timeout(self, behind: Behind, stranger: Caller) -> None:
        # Given a job whose plan cannot be read
        job = open_job(behind, stranger)
        record = stranger.send("x")
        behind.put("JobQueueUrl", {"job": job})
        time.sleep(5)
        assert stranger.job(job)["status"] == "processing"

        # When it can
        behind.client("s3").put_object(
            Bucket=behind.outputs["BucketName"], Key=f"jobs/{job}.json", Body=json.dumps([[record["id"]]]).encode()
        )

        # Then the job goes on after its half minute: a visibility time-out is half an hour
        assert stranger.ended(job, seconds=90)["status"] == "completed"

    def test_dead_letters_are_shown_and_sent_back(self, behind: Behind, stranger: Caller) -> None:
        # Given a good message among the dead letters, as SQS itself moves it, without a reason
        job = open_job(behind, stranger)
        record = stranger.send("x")
        behind.put("WorkDeadLetterQueueUrl", {"job": job, "batch": 0, "records": [record["id"]]})
        sqs, letters = behind.client("sqs"), behind.outputs["WorkDeadLetterQueueUrl"]
        shown = list(dead_letters(sqs, letters))
        assert ["killed" in letter.reason for letter in shown] == [True]
        sqs.change_message_visibility(QueueUrl=letters, ReceiptHandle=shown[0].receipt, VisibilityTimeout=0)

        # When they are sent back
        assert redrive(sqs, source=letters, target=behind.outputs["WorkQueueUrl"]) == 1

        # Then the job ends
        assert stranger.ended(job)["status"] == "completed"
        assert behind.waiting("WorkDeadLetterQueueUrl") == 0


def expire(behind: Behind, record_id: str) -> None:
    """Makes a record a day older."""
    behind.client("dynamodb").update_item(
        TableName=behind.outputs["TableName"],
        Key={"id": {"S": record_id}},
        UpdateExpression="SET expires_at = :second",
        ExpressionAttributeValues={":second": {"N": str(int(time.time()) - 1)}},
    )
