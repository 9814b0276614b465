"""Nothing that follows from an accepted item exceeds AWS's limits."""

import json

from hypothesis import given
from hypothesis import strategies as st

from services.items.runtime.creations import CreationEffects
from services.items.runtime.logic import PAGE_BYTES
from services.items.runtime.storage import item_from
from services.items.tests.unit import fakes
from slipway.testing.fakes import MemoryPersistence
from slipway.testing.sizes import (
    ANSWER_BYTES,
    ANY_SPEED,
    ITEM_BYTES,
    MESSAGE_BYTES,
    STRINGS,
    WORST,
    Recorder,
    Worst,
    carried,
    item_bytes,
    listed,
    nested,
)
from slipway_runtime.bodies import DATA_LIMITS


@ANY_SPEED
@given(worst=WORST, sign=st.sampled_from(STRINGS))
def test_an_item_its_record_and_its_answers_fit(worst: Worst, sign: str) -> None:
    # Given the largest item of some kind, created with a key
    data = worst.written()
    api = fakes.Harness().bind()
    length = len(json.loads(f'"{sign}"'))
    name, description = sign * (255 // length), sign * (4096 // length)
    body = f'{{"name":"n{name}","description":"{description}","data":{data}}}'
    answer = api.post(body, Idempotency_Key="k" * 255)
    # When it is accepted (numbers that grow when written out may be refused)
    assert answer.status in {201, 413}
    if answer.status == 413:
        assert "e39" in data or "e-39" in data
        return
    # Then the item with its keys fits into the table
    (kept,) = api.items
    assert item_bytes(kept) < ITEM_BYTES
    # And the record of its key is small, whatever the body
    (record,) = api.persistence.records.values()
    assert len(record.response_data.encode()) < 1024
    # And every answer fits into a response, including a repetition and a page
    again = api.post(body, Idempotency_Key="k" * 255)
    assert again.text == answer.text
    for given_back in (answer, again, api.get(answer.location), api.get("/items")):
        assert carried(given_back.raw) < ANSWER_BYTES
    # And so do the effects of its creation
    s3, sns = Recorder(), Recorder()
    effects = CreationEffects(
        s3=s3,  # type: ignore[arg-type]
        sns=sns,  # type: ignore[arg-type]
        bucket="bucket",
        topic_arn="topic",
        persistence=MemoryPersistence(),
    )
    effects.follow(item_from(kept))
    assert len(sns.calls[0]["Message"].encode()) < MESSAGE_BYTES


def test_the_largest_page_fits_into_a_response() -> None:
    # Given a page of items in which each character needs another escape
    api = fakes.Harness().bind()
    for _ in range(6):
        data = nested(listed('""', DATA_LIMITS.size - 100, DATA_LIMITS.values - 40), 1)
        data = data.replace('""', '"' + '\\"' * 11 + '"')
        assert api.post(f'{{"name":"x","data":{data}}}').status == 201
    page = api.get("/items", {"limit": "100"})
    assert len(page.text.encode()) < PAGE_BYTES + 100
    assert carried(page.raw) < ANSWER_BYTES
