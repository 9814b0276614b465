"""`ingest` on the emulator, through HTTPS and with IAM enforced."""

from __future__ import annotations

from collections.abc import Callable

import boto3
import httpx
import pytest

from services.ingest.tests.local.ingest import Caller, open_job
from slipway.emulator.environment import Outputs
from slipway.redrive import dead_letters, redrive
from slipway.testing.behind import Behind

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def behind(session: Callable[..., boto3.Session], outputs: Outputs) -> Behind:
    return Behind(session(), outputs["ingest"])


@pytest.fixture(scope="module")
def caller(behind: Behind, http: httpx.Client) -> Caller:
    return Caller(http, behind.outputs["ApiEndpoint"], behind.key_value())


@pytest.fixture
def stranger(behind: Behind, http: httpx.Client) -> Caller:
    """Return another caller with an unused key."""
    return Caller(http, behind.outputs["ApiEndpoint"], behind.new_key())


@pytest.fixture(autouse=True)
def no_dead_letters(behind: Behind) -> None:
    """Delete the dead letters of other tests."""
    for output in ("JobDeadLetterQueueUrl", "WorkDeadLetterQueueUrl"):
        behind.take(output)


class TestKeys:
    @pytest.mark.requirement("ingest: the usage plan")
    def test_calls_faster_than_the_plan_are_throttled(self, behind: Behind, caller: Caller) -> None:
        plan = behind.new_plan(throttle={"rateLimit": 1, "burstLimit": 2})
        hasty = Caller(caller.http, caller.endpoint, behind.new_key(plan))
        answers = [hasty.read(NOBODY) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {404, 429}
        assert answers[-1].json()["title"] == "Too Many Requests"

    @pytest.mark.requirement("ingest: the usage plan")
    def test_calls_over_the_daily_quota_are_throttled(self, behind: Behind, caller: Caller) -> None:
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
    def test_a_payload_is_returned_unchanged(
        self, behind: Behind, caller: Caller, payload: str, in_bucket: bool
    ) -> None:
        # When a record is sent
        record = caller.send(payload)

        # Then it is returned unchanged
        read = caller.read(record["id"])
        assert read.status_code == 200
        assert read.json() == record | {"payload": payload}
        assert record["size"] == len(payload.encode())

        # And it is stored in the expected place
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


class TestOwnership:
    @pytest.mark.requirement("ingest: routes")
    def test_job_and_records_are_visible_to_their_key_only(self, caller: Caller, stranger: Caller) -> None:
        mine, theirs = caller.send("mine"), stranger.send("theirs")
        job = stranger.start()
        assert stranger.ended(job["id"])["total"] == 1
        assert caller.call("GET", f"/process/{job['id']}").status_code == 404
        assert stranger.read(theirs["id"]).json()["status"] == "completed"
        assert caller.read(mine["id"]).json()["status"] == "pending"
        assert stranger.read(mine["id"]).status_code == 404


class TestJobs:
    @pytest.mark.requirement("ingest: background jobs")
    def test_pending_records_are_completed(self, stranger: Caller) -> None:
        # Given more records than fit into one batch, one of them in the bucket
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


class TestQueues:
    def test_dead_letters_are_shown_and_sent_back(self, behind: Behind, stranger: Caller) -> None:
        # Given a valid message among the dead letters, moved by SQS itself without a reason
        job = open_job(behind, stranger)
        record = stranger.send("x")
        behind.put("WorkDeadLetterQueueUrl", {"job": job, "batch": 0, "records": [record["id"]]})
        sqs, letters = behind.client("sqs"), behind.outputs["WorkDeadLetterQueueUrl"]
        shown = list(dead_letters(sqs, letters))
        assert ["killed" in letter.reason for letter in shown] == [True]
        sqs.change_message_visibility(QueueUrl=letters, ReceiptHandle=shown[0].receipt, VisibilityTimeout=0)

        # When the dead letters are sent back
        assert redrive(sqs, source=letters, target=behind.outputs["WorkQueueUrl"]) == 1

        # Then the job completes
        assert stranger.ended(job)["status"] == "completed"
        assert behind.waiting("WorkDeadLetterQueueUrl") == 0
