"""Data sent over HTTPS is stored exactly."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.items.tests.local.items import create
from slipway.testing.emulated import Request
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.exact_json import loads

JSON = {"Content-Type": "application/json"}
LIMIT = DATA_LIMITS.size
# Maximum duration of a search; a busy machine tries fewer items
SEARCH_SECONDS = 20


def with_data(text: str) -> bytes:
    """Return an item whose data has this JSON under `a`."""
    return b'{"name": "kettle", "data": {"a": %s}}' % text.encode()


def test_a_body_as_large_as_the_limit_is_kept(signed: Request, edge: Request) -> None:
    # Given the maximum number of values, and a body of the maximum size
    frame = len(b'{"name":"kettle","data":{"a":[]}}')
    count = DATA_LIMITS.values - 4
    numbers = ",".join(["7" * 25] * count).ljust(LIMIT - frame)
    body = b'{"name":"kettle","data":{"a":[%s]}}' % numbers.encode()
    assert len(body) == LIMIT
    # When the item is created with a key
    headers = {**JSON, "Idempotency-Key": uuid4().hex}
    response = signed("POST", "/items", content=body, headers=headers)
    # Then it is stored completely, and a repeated request gets the same answer
    assert response.status_code == 201, response.text[:500]
    path = f"/items/{response.json()['id']}"
    assert edge("GET", path).content == response.content
    assert len(response.json()["data"]["a"]) == count
    assert signed("POST", "/items", content=body, headers=headers).content == response.content
    # Delete it, so that no later list has to include it
    assert signed("DELETE", path, headers={"If-Match": '"1"'}).status_code == 204


@pytest.mark.requirement("items: the item")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("0.1", "0.1"),
        ("1.10", "1.1"),
        ("-0.0", "0"),
        ("1e2", "100"),
        ("123456789012345678901234567890.12345678", "123456789012345678901234567890.12345678"),
        ("9" * 38, "9" * 38),
        ("-1E-130", "-1E-130"),
        ("9.9999999999999999999999999999999999999E+125", "9.9999999999999999999999999999999999999E+125"),
        ("1" + "0" * 60, "1E+60"),
        ("9007199254740993", "9007199254740993"),
        ("0.30000000000000004", "0.30000000000000004"),
    ],
)
def test_a_number_is_returned_unchanged(signed: Request, edge: Request, given: str, kept: str) -> None:
    # Given a number that a binary float could not hold, or would write differently
    created = signed("POST", "/items", content=with_data(f"[{given}]"), headers=JSON)
    assert created.status_code == 201, created.text
    # When the item is read
    read = edge("GET", f"/items/{created.json()['id']}")
    # Then it is the same number, to the last digit
    assert f'"data":{{"a":[{kept}]}}' in read.text
    assert loads(read.content) == loads(created.content)
    assert loads(read.content)["data"]["a"] == [loads(given)]


@pytest.mark.requirement("items: the item")
@pytest.mark.parametrize(
    "text",
    ["", " ", "é", "e\u0301", "水", "🫖", "\u0000", "\u2028", "\ufeff", '"\\/', "<script>", "\U0010ffff", "\r\n"],
)
def test_text_is_returned_unchanged(signed: Request, edge: Request, text: str) -> None:
    item = create(signed, name=f"x{text}", description=text, data={f"k{text}": [text]})
    assert (item["name"], item["description"], item["data"]) == (f"x{text}", text, {f"k{text}": [text]})
    assert edge("GET", f"/items/{item['id']}").json() == item


CLEAN = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
GOOD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**37), 10**37)
    | st.floats(-1e100, 1e100).filter(lambda number: number == 0 or abs(number) > 1e-100)
    | CLEAN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CLEAN.filter(bool), inner, max_size=3),
    max_leaves=10,
)
GOOD_ITEMS = st.fixed_dictionaries(
    {"name": CLEAN.map("x{}".format), "data": st.dictionaries(CLEAN.filter(bool), GOOD_VALUES, max_size=3)},
    optional={"description": CLEAN, "status": st.sampled_from(["active", "draft", "a-b_c1"])},
)


def test_accepted_data_is_returned_as_sent(signed: Request, edge: Request) -> None:
    end = time.monotonic() + SEARCH_SECONDS

    @settings(max_examples=100, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(item=GOOD_ITEMS)
    def search(item: dict[str, Any]) -> None:
        if time.monotonic() > end:
            return
        sent = json.dumps(item).encode()
        # When an item is created
        created = signed("POST", "/items", content=sent, headers=JSON)
        assert created.status_code == 201, created.text
        # Then it is read as it was sent
        kept = loads(edge("GET", f"/items/{created.json()['id']}").content)
        assert {name: kept[name] for name in item} == loads(sent)

    search()
