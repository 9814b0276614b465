"""The API stores exactly what it accepts, and refuses modified cursors."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.items.runtime.model import Item, ItemFields
from services.items.runtime.storage import DynamoDBItemStorage
from services.items.tests.unit.fakes import Harness, account
from slipway.testing.sizes import ANY_SPEED, DATA, UNICODE
from slipway_runtime.exact_json import dumps, loads

# API Gateway passes query strings as text without control characters
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)


@pytest.mark.requirement("items: the item")
@ANY_SPEED
@given(data=DATA)
def test_data_is_returned_unchanged(data: dict[str, Any]) -> None:
    # Given data that DynamoDB can store
    api = Harness().bind()
    body = f'{{"name":"x","data":{dumps(data)}}}'
    # When it is posted and read
    created = api.post(body)
    assert created.status == 201
    # Then it is equal, number by number, and identical at every read
    read = api.get(created.location)
    assert read.json["data"] == data
    assert read.text == created.text


@ANY_SPEED
@given(data=DATA, name=UNICODE, description=UNICODE)
def test_a_table_s_item_is_the_item(data: dict[str, Any], name: str, description: str) -> None:
    item = Item(
        id="1",
        name=name,
        description=description,
        data=dumps(data),
        status="active",
        created_at="2026-01-01T00:00:00.000000Z",
        updated_at="2026-01-01T00:00:00.000000Z",
        version=1,
    )
    storage = DynamoDBItemStorage(account().client("dynamodb"), "items")
    storage.create(item, made_by="a")
    kept = storage.get("1")
    assert kept == item
    assert kept is not None
    assert loads(kept.document())["data"] == data
    fields = ItemFields(name=name, description=description, data=dumps(data), status="other")
    assert storage.replace("1", fields, versions=[1], updated_at="later").data == dumps(data)


@ANY_SPEED
@given(position=st.integers(0, 200), replacement=st.characters(exclude_categories=["Cc", "Cs"]))
def test_a_cursor_with_one_character_changed_is_refused(position: int, replacement: str) -> None:
    api = Harness().bind()
    for number in range(2):
        api.post({"name": str(number)})
    cursor = api.get("/items", {"limit": "1"}).json["next_cursor"]
    position %= len(cursor)
    changed = cursor[:position] + replacement + cursor[position + 1 :]
    answer = api.get("/items", {"limit": "1", "cursor": changed})
    if changed == cursor:
        assert answer.status == 200
    else:
        assert (answer.status, answer.fields) == (400, ["cursor"])


@ANY_SPEED
@given(cursor=LINES)
def test_an_invented_cursor_is_refused(cursor: str) -> None:
    answer = Harness().bind().get("/items", {"cursor": cursor})
    assert (answer.status, answer.fields) == (400, ["cursor"])
