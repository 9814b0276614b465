"""Whatever comes in, the API answers with a document, and keeps what it takes exactly."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.items.runtime.model import Item, ItemFields
from services.items.runtime.storage import DynamoDBItemStorage
from services.items.tests.unit.fake_dynamodb import FakeDynamoDB
from services.items.tests.unit.fakes import Harness, proxy_event
from slipway_runtime.exact_json import dumps, loads

PATHS = st.one_of(
    st.sampled_from(["/items", "/items/1", "/health", "/", "//", "/items/"]),
    st.text(max_size=30).map(lambda text: f"/items/{text}"),
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
# API Gateway hands on header values and query strings as text without control characters.
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "If-Match", "If-None-Match", "Idempotency-Key", "X-Origin-Verify", "Origin", "Accept-Encoding"]
    ),
    st.one_of(
        LINES,
        st.sampled_from(["application/json", '"1"', 'W/"1"', "*", "o" * 32, "gzip", "multipart/form-data; boundary="]),
    ),
)
QUERIES = st.dictionaries(
    st.one_of(st.sampled_from(["limit", "cursor", "status"]), LINES),
    st.one_of(LINES, st.sampled_from(["1", "-1", "1,2", "active", "e30.AAAA"])),
    max_size=4,
)
# Any text, with halves of surrogate pairs, as JSON's escapes can carry them.
TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
BODIES = st.one_of(
    st.none(),
    TEXT,
    JSON.map(json.dumps),
    st.fixed_dictionaries(
        {"name": JSON | TEXT}, optional={"data": JSON, "status": JSON, "description": JSON, "other": JSON}
    ).map(json.dumps),
)

EXACT_NUMBERS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**38 - 1),
    st.integers(-130, 125 - 37),
)
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXACT = st.recursive(
    st.none() | st.booleans() | EXACT_NUMBERS | UNICODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNICODE, inner, max_size=4),
    max_leaves=15,
)
DATA = st.dictionaries(UNICODE, EXACT, max_size=4)

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.requirement("errors")
@ANY_SPEED
@given(
    method=METHODS,
    path=PATHS,
    parts=st.fixed_dictionaries({"headers": HEADERS, "query": QUERIES}),
    body=BODIES,
    encoded=st.booleans(),
)
def test_no_request_makes_the_service_fail(
    method: str, path: str, parts: dict[str, dict[str, str]], body: str | None, encoded: bool
) -> None:
    # Given any request that API Gateway would hand on
    event = proxy_event(method, path, headers=parts["headers"], query=parts["query"])
    event |= {"body": body, "isBase64Encoded": encoded}
    # When it is answered
    answer = Harness().bind().call(event)
    # Then the failure, if there is one, is the request's, and its document is valid
    assert answer.status < 500
    answer.text.encode()
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
        assert answer.fields


@pytest.mark.requirement("items: the item")
@ANY_SPEED
@given(data=DATA)
def test_data_comes_back_as_it_went_in(data: dict[str, Any]) -> None:
    # Given data that DynamoDB can hold
    api = Harness().bind()
    body = f'{{"name":"x","data":{dumps(data)}}}'
    # When it is posted and read
    created = api.post(body)
    assert created.status == 201
    # Then it is equal, number by number, and reads alike every time
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
    storage = DynamoDBItemStorage(FakeDynamoDB(), "items")  # type: ignore[arg-type]
    storage.create(item, made_by="a")
    kept = storage.get("1")
    assert kept == item
    assert kept is not None
    assert loads(kept.document())["data"] == data
    fields = ItemFields(name=name, description=description, data=dumps(data), status="other")
    assert storage.replace("1", fields, versions=[1], updated_at="later").data == dumps(data)


@given(value=EXACT)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert dumps(loads(dumps(value))) == dumps(value)
    # And other readers read it
    json.loads(dumps(value))


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
def test_a_cursor_that_is_made_up_is_refused(cursor: str) -> None:
    answer = Harness().bind().get("/items", {"cursor": cursor})
    assert (answer.status, answer.fields) == (400, ["cursor"])
