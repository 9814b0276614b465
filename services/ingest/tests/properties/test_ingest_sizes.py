"""Nothing that follows from an accepted record exceeds AWS's limits."""

import json
from uuid import uuid4

import pytest

from services.ingest.runtime.model import (
    BATCH_RECORDS,
    FAILURES_KEPT,
    JOB_RECORDS,
    PAYLOAD_BYTES,
    UNANSWERED,
    Failure,
    carried_bytes,
)
from services.ingest.runtime.storage import DynamoDBJobs, DynamoDBRecords
from services.ingest.tests.unit import fakes as ingest
from slipway.testing.sizes import ANSWER_BYTES, ITEM_BYTES, MESSAGE_BYTES, Recorder, carried, item_bytes


def test_the_largest_job_fits() -> None:
    # Given a job with the maximum number of records, open batches, and stored failure reasons
    dynamodb = Recorder()
    DynamoDBJobs(dynamodb, "jobs").plan("job", total=JOB_RECORDS, batches=JOB_RECORDS // BATCH_RECORDS)  # type: ignore[arg-type]
    numbers = dynamodb.calls[0]["ExpressionAttributeValues"][":open"]["NS"]
    failure = Failure(UNANSWERED, str(uuid4())).document()
    # Then it fits into the table: one byte per two digits of each number plus one, and the reasons counted twice
    reasons = sum(len(json.dumps(failure)) + 10 for _ in range(2 * FAILURES_KEPT))
    assert sum((len(number) + 1) // 2 + 1 for number in numbers) + reasons + 1024 < ITEM_BYTES


@pytest.mark.requirement("ingest: records")
@pytest.mark.parametrize("sign", ["x", "\x00", "\x1f", "\x7f", "\n", '"', "\\", "é", "€", "😀", "\u2028", 'a"\n😀'])
@pytest.mark.parametrize("size", [4096, PAYLOAD_BYTES])
def test_a_record_and_its_answers_fit(sign: str, size: int) -> None:
    # Given the largest payload of one character, stored in the table or in the bucket
    service = ingest.Service()
    count = size // (carried_bytes(sign) if size == PAYLOAD_BYTES else len(sign.encode()))
    body = json.dumps({"payload": sign * count}, ensure_ascii=False)
    sent = service.call(ingest.proxy_event("POST", "/data", body=body))
    assert sent.status == 201
    # Then it fits into the table
    dynamodb = Recorder()
    stored = service.storage.get(sent.json["id"])
    assert stored is not None
    record, inline = stored
    DynamoDBRecords(dynamodb, "records").create(record, inline)  # type: ignore[arg-type]
    assert item_bytes(dynamodb.calls[0]["Item"]) < ITEM_BYTES
    # And it can be returned, and its messages sent
    read = service.call(ingest.proxy_event("GET", "/data", query={"id": record.id}))
    assert carried({"statusCode": 200, "body": read.text}) < ANSWER_BYTES
    job = service.jobs.start(record.owner)
    (message,) = service.job_queue.take()
    service.plan(message)
    for each in (message, *service.work_queue.take()):
        assert len(each.encode()) < MESSAGE_BYTES
    assert job.id in message
