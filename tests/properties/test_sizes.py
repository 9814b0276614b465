"""Whatever body is accepted, nothing that follows from it is larger than what AWS carries."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
from services.items.runtime.creations import CreationEffects
from services.items.runtime.logic import PAGE_BYTES
from services.items.runtime.storage import DynamoDBItemStorage
from services.items.tests.unit import fakes
from services.processing.runtime.jobs import LambdaJobs, job_of
from services.processing.runtime.logic import upper
from services.processing.tests.unit import fakes as processing
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.exact_json import dumps, loads

# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
ITEM_BYTES = 400 * 1024
# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: an answer, and an asynchronous event
ANSWER_BYTES = 6 * 1024 * 1024
EVENT_BYTES = 1024 * 1024
# Before it was 1 MiB: docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html,
# docs.aws.amazon.com/sns/latest/dg/SNSMessageAttributes.html
MESSAGE_BYTES = 256 * 1024

# Signs that grow on their way, as they are written in JSON: escaped once more, in more bytes, in upper case, in full.
STRINGS = ("x", "\\u0001", "\\n", '\\"', "\\\\", "я", "€", "😀", "ŉ", "ΐ", "\u2028", "\\u044f", "\\ud83d\\ude00")
VALUES = ("1", "1e39", "-1e-39", "0." + "3" * 37, "null", '""', "[]", "{}", '{"":""}', '"я"', '"\\u0001"')


def text(sign: str, size: int) -> str:
    """A string of at most so many bytes."""
    return '"' + sign * ((size - 2) // len(sign.encode())) + '"'


def listed(value: str, size: int, values: int) -> str:
    """A list of at most so many bytes and values."""
    each = max(2, value.count("{") * 2 + value.count("[") * 2 + 1)
    count = min((size - 2) // (len(value.encode()) + 1), (values - 1) // each)
    return "[" + ",".join([value] * count) + "]"


def keyed(sign: str, size: int, values: int) -> str:
    """An object with keys of that sign, of at most so many bytes."""
    count = min(values - 1, 500)
    room = size // count - 20
    return "{" + ",".join(f'"{number}{sign * (room // len(sign.encode()))}":""' for number in range(count)) + "}"


def nested(inner: str, levels: int) -> str:
    return '{"k":' * levels + inner + "}" * levels


@dataclass(frozen=True)
class Worst:
    """Data as large as a body may be, or nearly, of one kind."""

    kind: Literal["text", "list", "texts", "keys"]
    piece: str
    levels: int

    def written(self) -> str:
        # Beside the data stand a name of 255 characters and a description of 4,096, each of up to 12 bytes escaped.
        size, values = DATA_LIMITS.size - (255 + 4096) * 12 - 200, DATA_LIMITS.values - 40
        match self.kind:
            case "text":
                inner = text(self.piece, size)
            case "list":
                inner = listed(self.piece, size, values)
            case "texts":
                inner = listed(text(self.piece, 60), size, values)
            case "keys":
                inner = keyed(self.piece, size, values)
        return nested(inner, self.levels)


LEVELS = st.integers(1, 18)
WORST = st.one_of(
    st.builds(Worst, st.just("list"), st.sampled_from(VALUES), LEVELS),
    st.builds(Worst, st.sampled_from(["text", "texts", "keys"]), st.sampled_from(STRINGS), LEVELS),
)


def item_bytes(attributes: Mapping[str, Any]) -> int:
    """Size of an item as DynamoDB counts it (CapacityUnitCalculations.html in its guide), numbers at their largest."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in attributes.items())


def _value_bytes(attribute: Mapping[str, Any]) -> int:
    (kind, value), *_ = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return 21
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_bytes(each) for name, each in value.items())
        case "L":
            return 3 + sum(1 + _value_bytes(each) for each in value)
    return 1


def carried(document: Any) -> int:
    """Bytes of a document in an invocation of Lambda, as its runtime writes it."""
    return len(json.dumps(document, ensure_ascii=False).encode())


ANY_SPEED = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


class Recorder:
    """A client of AWS that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append(arguments)
            return {}

        return call


@ANY_SPEED
@given(worst=WORST, sign=st.sampled_from(STRINGS))
def test_an_item_its_record_and_its_answers_fit(worst: Worst, sign: str) -> None:
    # Given the largest item of some kind, made under a key
    data = worst.written()
    api = fakes.Harness().bind()
    length = len(json.loads(f'"{sign}"'))
    name, description = sign * (255 // length), sign * (4096 // length)
    body = f'{{"name":"n{name}","description":"{description}","data":{data}}}'
    answer = api.post(body, Idempotency_Key="k" * 255)
    # When it is accepted (numbers that grow may be refused)
    assert answer.status in {201, 413}
    if answer.status == 413:
        assert "e39" in data or "e-39" in data
        return
    # Then the item, with its keys, fits into the table
    dynamodb = Recorder()
    (item,) = api.storage.items.values()
    DynamoDBItemStorage(dynamodb, "items").create(item, made_by="f" * 64)  # type: ignore[arg-type]
    assert item_bytes(dynamodb.calls[0]["Item"]) < ITEM_BYTES
    # And the record of its key is small, whatever the body is
    (record,) = api.persistence.records.values()
    assert len(record.response_data.encode()) < 1024
    # And every answer can be carried, that of a repetition and that of a page too
    again = api.post(body, Idempotency_Key="k" * 255)
    assert again.text == answer.text
    for given_back in (answer, again, api.get(answer.location), api.get("/items")):
        assert carried(given_back.raw) < ANSWER_BYTES
    # And so can what follows its creation
    s3, sns = Recorder(), Recorder()
    effects = CreationEffects(
        s3=s3,  # type: ignore[arg-type]
        sns=sns,  # type: ignore[arg-type]
        bucket="bucket",
        topic_arn="topic",
        persistence=fakes.MemoryPersistence(),
    )
    effects.follow(item)
    assert len(sns.calls[0]["Message"].encode()) < MESSAGE_BYTES


def test_the_largest_page_can_be_carried() -> None:
    # Given items of which each sign is escaped once more, a page full of them
    api = fakes.Harness().bind()
    for _ in range(6):
        data = nested(listed('""', DATA_LIMITS.size - 100, DATA_LIMITS.values - 40), 1)
        data = data.replace('""', '"' + '\\"' * 11 + '"')
        assert api.post(f'{{"name":"x","data":{data}}}').status == 201
    page = api.get("/items", {"limit": "100"})
    assert len(page.text.encode()) < PAGE_BYTES + 100
    assert carried(page.raw) < ANSWER_BYTES


@ANY_SPEED
@given(worst=WORST)
def test_a_job_and_its_result_fit(worst: Worst) -> None:
    # Given the largest data of some kind
    data = worst.written()
    api = processing.Harness().bind()
    accepted = api.post("/process", f'{{"data":{data}}}', Idempotency_Key="k" * 255)
    assert accepted.status in {202, 413}
    if accepted.status == 413:
        assert "e39" in data or "e-39" in data
        return
    # Then the event fits into an asynchronous invocation, and the message of one that failed into its queue
    functions = Recorder()
    LambdaJobs(lambda: functions, "worker").send(job_of(json.loads(api.jobs.sent[0])))  # type: ignore[arg-type, return-value]
    assert len(functions.calls[0]["Payload"]) < EVENT_BYTES - 4096
    # And the result can be given back
    result = dumps(upper(loads(data)))
    answer = {"statusCode": 200, "body": f'{{"result":{result}}}'}
    assert carried(answer) < ANSWER_BYTES


def test_the_largest_job_fits() -> None:
    # Given a job of as many records as it may have, its batches open, with all the reasons that it keeps
    dynamodb = Recorder()
    DynamoDBJobs(dynamodb, "jobs").plan("job", total=JOB_RECORDS, batches=JOB_RECORDS // BATCH_RECORDS)  # type: ignore[arg-type]
    numbers = dynamodb.calls[0]["ExpressionAttributeValues"][":open"]["NS"]
    failure = Failure(UNANSWERED, str(uuid4())).document()
    # Then it fits into the table, each number at a byte for two digits and one more, and twice the reasons
    reasons = sum(len(json.dumps(failure)) + 10 for _ in range(2 * FAILURES_KEPT))
    assert sum((len(number) + 1) // 2 + 1 for number in numbers) + reasons + 1024 < ITEM_BYTES


@pytest.mark.parametrize("sign", ["x", "\x01", "\n", '"', "\\", "я", "€", "😀", "\u2028"])
@pytest.mark.parametrize("size", [4096, PAYLOAD_BYTES])
def test_a_record_and_its_answers_fit(sign: str, size: int) -> None:
    # Given the largest payload of a sign that goes to the table, or to the bucket
    service = ingest.Service()
    count = size // (carried_bytes(sign) if size == PAYLOAD_BYTES else len(sign.encode()))
    body = json.dumps({"payload": sign * count}, ensure_ascii=False)
    sent = service.call(ingest.proxy_event("POST", "/data", body=body))
    assert sent.status == 201
    # Then it fits into the table
    dynamodb = Recorder()
    record, inline = service.storage.stored[sent.json["id"]]
    DynamoDBRecords(dynamodb, "records").create(record, inline)  # type: ignore[arg-type]
    assert item_bytes(dynamodb.calls[0]["Item"]) < ITEM_BYTES
    # And it can be given back, and its messages sent
    read = service.call(ingest.proxy_event("GET", "/data", query={"id": record.id}))
    assert carried({"statusCode": 200, "body": read.text}) < ANSWER_BYTES
    job = service.jobs.start(record.owner)
    (message,) = service.job_queue.take()
    service.plan(message)
    for each in (message, *service.work_queue.take()):
        assert len(each.encode()) < MESSAGE_BYTES
    assert job.id in message
