"""Whatever comes over HTTPS, `items` says what is wrong with it, or keeps it exactly."""

from __future__ import annotations

import gzip
import json
import string
import time
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.items.tests.local.items import assert_problem, create
from slipway.testing.emulated import Request
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.exact_json import loads

JSON = {"Content-Type": "application/json"}
LIMIT = DATA_LIMITS.size
# The time that the search for an answer that must not be may take; on a busy machine it tries fewer requests.
SEARCH_SECONDS = 40


def nested(levels: int) -> bytes:
    """An item whose data is that deep."""
    return b'{"name": "kettle", "data": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"


def with_data(text: str) -> bytes:
    """An item whose data holds that JSON under `a`."""
    return b'{"name": "kettle", "data": {"a": %s}}' % text.encode()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param(b"", "body", id="empty"),
        pytest.param(b"{", "body", id="half"),
        pytest.param(b"kettle", "body", id="no JSON"),
        pytest.param(b'{"name": "kettle"} {}', "body", id="two documents"),
        pytest.param(b'{"name": "kettle",}', "body", id="a comma too much"),
        pytest.param(b'{"name": "a\tb"}', "body", id="a control character"),
        pytest.param(b"[]", "body", id="a list"),
        pytest.param(b'[{"name": "kettle"}]', "body", id="a list of items"),
        pytest.param(b'"kettle"', "body", id="a string"),
        pytest.param(b"null", "body", id="null"),
        pytest.param(b'{"name": "kettle", "name": "teapot"}', "body", id="a key twice"),
        pytest.param(with_data('{"b": 1, "b": 2}'), "body", id="a key twice, deeper"),
        pytest.param(nested(9_000), "body", id="deeper than a parser goes"),
        pytest.param(b"{}", "/name", id="no name"),
        pytest.param(b'{"name": ""}', "/name", id="an empty name"),
        pytest.param(b'{"name": " "}', "/name", id="a blank name"),
        pytest.param(b'{"name": "\\u200b"}', "/name", id="an invisible name"),
        pytest.param(b'{"name": null}', "/name", id="null for a name"),
        pytest.param(b'{"name": 1}', "/name", id="a number for a name"),
        pytest.param(json.dumps({"name": "k" * 257}).encode(), "/name", id="a long name"),
        pytest.param(b'{"name": "\\ud800"}', "/name", id="half a character"),
        pytest.param(b'{"name": "kettle", "description": ["a"]}', "/description", id="a list for a description"),
        pytest.param(b'{"name": "kettle", "status": "On sale"}', "/status", id="two words for a status"),
        pytest.param(b'{"name": "kettle", "data": []}', "/data", id="a list for data"),
        pytest.param(b'{"name": "kettle", "data": null}', "/data", id="null for data"),
        pytest.param(b'{"name": "kettle", "colour": "red"}', "/colour", id="an unknown field"),
        pytest.param(b'{"name": "kettle", "version": 7}', "/version", id="a field of the service"),
        pytest.param(with_data("NaN"), "/data/a", id="NaN"),
        pytest.param(with_data("Infinity"), "/data/a", id="infinity"),
        pytest.param(with_data("[-Infinity]"), "/data/a/0", id="minus infinity"),
        pytest.param(with_data("1e126"), "/data/a", id="too large"),
        pytest.param(with_data("1e-131"), "/data/a", id="too small"),
        pytest.param(with_data("1e99999999999999999999"), "/data/a", id="far too large"),
        pytest.param(with_data("1" * 39), "/data/a", id="too many digits"),
        pytest.param(with_data('"\\udfff"'), "/data/a", id="half a character in data"),
        pytest.param(with_data('{"\\ud800": 1}'), "/data/a/?", id="half a character in a key"),
        pytest.param(nested(21), "/data" + "/a" * 20, id="too deep"),
    ],
)
def test_a_body_that_is_not_right_is_refused_with_the_field_at_fault(signed: Request, body: bytes, field: str) -> None:
    # When it is sent to be created, or to replace an item
    # Then the field is named
    assert_problem(signed("POST", "/items", content=body, headers=JSON), 400, field)
    assert_problem(signed("PUT", "/items/1", content=body, headers={**JSON, "If-Match": '"1"'}), 400, field)


def test_all_fields_at_fault_are_named_at_once(signed: Request) -> None:
    response = signed("POST", "/items", json={"name": "", "status": "A", "data": 1, "colour": "red"})
    assert_problem(response, 400, "/name", "/data", "/status", "/colour")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/items"), ("PUT", "/items/1")],
)
def test_a_body_larger_than_the_limit_is_refused(signed: Request, method: str, path: str) -> None:
    # Given a body one byte larger than the limit, and one that Lambda itself would hardly take
    frame = len(b'{"name": "kettle", "description": ""}')
    for size in (LIMIT + 1, 4 * 1024 * 1024):
        body = b'{"name": "kettle", "description": "' + b"x" * (size - frame) + b'"}'
        # When it is sent
        response = signed(method, path, content=body, headers={**JSON, "If-Match": '"1"'})
        # Then it is too large
        assert_problem(response, 413, "body")


def test_a_body_as_large_as_the_limit_is_kept(signed: Request, edge: Request) -> None:
    # Given as many values as there may be, and bytes up to the limit
    frame = len(b'{"name":"kettle","data":{"a":[]}}')
    count = DATA_LIMITS.values - 4
    numbers = ",".join(["7" * 25] * count).ljust(LIMIT - frame)
    body = b'{"name":"kettle","data":{"a":[%s]}}' % numbers.encode()
    assert len(body) == LIMIT
    # When it is created, under a key
    headers = {**JSON, "Idempotency-Key": uuid4().hex}
    response = signed("POST", "/items", content=body, headers=headers)
    # Then it is there, whole, and a repeated request gets the same
    assert response.status_code == 201, response.text[:500]
    path = f"/items/{response.json()['id']}"
    assert edge("GET", path).content == response.content
    assert len(response.json()["data"]["a"]) == count
    assert signed("POST", "/items", content=body, headers=headers).content == response.content
    # And no later list has to carry it.
    assert signed("DELETE", path, headers={"If-Match": '"1"'}).status_code == 204


@pytest.mark.parametrize("text", ["\\u0001", "я", '\\"'])
def test_a_keyed_item_of_text_that_grows_is_kept(signed: Request, text: str) -> None:
    # Given text that grows wherever it is written within text, up to the limit
    frame = len('{"name":"kettle","data":{"a":""}}')
    body = f'{{"name":"kettle","data":{{"a":"{text * ((LIMIT - frame) // len(text.encode()))}"}}}}'.encode()
    headers = {**JSON, "Idempotency-Key": uuid4().hex}
    # When it is created under a key, and the caller asks again
    first, again = (signed("POST", "/items", content=body, headers=headers) for _ in range(2))
    # Then there is one answer
    assert first.status_code == again.status_code == 201, first.text[:500]
    assert first.content == again.content
    assert signed("DELETE", f"/items/{first.json()['id']}", headers={"If-Match": '"1"'}).status_code == 204


def test_a_body_of_too_many_values_is_refused(signed: Request) -> None:
    body = with_data("[" + ",".join(["1"] * DATA_LIMITS.values) + "]")
    assert_problem(signed("POST", "/items", content=body, headers=JSON), 413, "body")


def test_a_compressed_body_is_refused(signed: Request) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = signed("POST", "/items", content=gzip.compress(b'{"name": "kettle"}'), headers=headers)
    assert_problem(response, 415, "Content-Encoding")
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("name", [b"\xff", "é".encode("latin-1")])
def test_a_body_that_is_not_utf_8_is_refused(signed: Request, name: bytes) -> None:
    assert_problem(signed("POST", "/items", content=b'{"name": "kettle %s"}' % name, headers=JSON), 400, "body")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/octet-stream",
        "application/json-patch+json",
        "application/xml",
    ],
)
def test_a_body_that_is_not_said_to_be_json_is_refused(signed: Request, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = signed("POST", "/items", content=b'{"name": "kettle"}', headers=headers)
    assert_problem(response, 415, "Content-Type")


def test_json_may_say_its_character_set(signed: Request) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert signed("POST", "/items", content=b'{"name": "kettle"}', headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1_0", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("status=On%20sale", "status"),
        ("status=", "status"),
        ("status=" + "a" * 33, "status"),
        ("cursor=", "cursor"),
        ("cursor=" + "a" * 513, "cursor"),
        ("cursor=a", "cursor"),
        ("cursor=a.b.c", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%F0%9F%AB%96.%F0%9F%AB%96", "cursor"),
        ("cursor=eyJyIjoiYSIsInMiOm51bGx9.AAAA", "cursor"),
    ],
)
def test_a_question_that_is_not_right_is_refused_with_the_parameter_at_fault(
    edge: Request, query: str, field: str
) -> None:
    assert_problem(edge("GET", f"/items?{query}"), 400, field)


def test_a_cursor_that_was_tampered_with_is_refused(signed: Request, edge: Request) -> None:
    # Given a cursor of one filter
    for _ in range(2):
        create(signed, status="tampered")
    cursor: str = edge("GET", "/items?limit=1&status=tampered").json()["next_cursor"]
    assert edge("GET", f"/items?limit=1&status=tampered&cursor={cursor}").status_code == 200
    # When a character of it is another, or a part is missing, or the filter is another
    payload, signature = cursor.split(".")
    others = [
        cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        for place in range(0, len(cursor), 9)
        if cursor[place] != "."
    ]
    others += [
        payload,
        signature,
        f"{payload}.",
        f".{signature}",
        f"{cursor}=",
        f"{signature}.{payload}",
        cursor.upper(),
    ]
    for other in others:
        # Then it is none of ours
        assert_problem(edge("GET", f"/items?limit=1&status=tampered&cursor={quote(other)}"), 400, "cursor")
    assert_problem(edge("GET", f"/items?limit=1&status=active&cursor={cursor}"), 400, "cursor")
    assert_problem(edge("GET", f"/items?limit=1&cursor={cursor}"), 400, "cursor")


def test_an_id_that_can_be_none_is_refused(edge: Request, signed: Request) -> None:
    assert_problem(edge("GET", f"/items/{'a' * 65}"), 400, "id")
    assert_problem(signed("DELETE", f"/items/{'a' * 65}", headers={"If-Match": '"1"'}), 400, "id")
    for strange in ("..%2F..%2Fetc", "%00", "%F0%9F%AB%96", "a%0Ab", "%25", "health"):
        assert edge("GET", f"/items/{strange}").status_code in {400, 403, 404}


@pytest.mark.parametrize("key", ["", "k" * 256, "a b"])
def test_an_idempotency_key_that_can_be_none_is_refused(signed: Request, key: str) -> None:
    assert_problem(
        signed("POST", "/items", json={"name": "kettle"}, headers={"Idempotency-Key": key}), 400, "Idempotency-Key"
    )


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
def test_a_number_comes_back_as_it_went_in(signed: Request, edge: Request, given: str, kept: str) -> None:
    # Given a number that a binary float could not hold, or would write otherwise
    created = signed("POST", "/items", content=with_data(f"[{given}]"), headers=JSON)
    assert created.status_code == 201, created.text
    # When the item is read
    read = edge("GET", f"/items/{created.json()['id']}")
    # Then it is the same number, to the last digit
    assert f'"data":{{"a":[{kept}]}}' in read.text
    assert loads(read.content) == loads(created.content)
    assert loads(read.content)["data"]["a"] == [loads(given)]


@pytest.mark.parametrize(
    "text",
    ["", " ", "é", "e\u0301", "水", "🫖", "\u0000", "\u2028", "\ufeff", '"\\/', "<script>", "\U0010ffff", "\r\n"],
)
def test_text_comes_back_as_it_went_in(signed: Request, edge: Request, text: str) -> None:
    item = create(signed, name=f"x{text}", description=text, data={f"k{text}": [text]})
    assert (item["name"], item["description"], item["data"]) == (f"x{text}", text, {f"k{text}": [text]})
    assert edge("GET", f"/items/{item['id']}").json() == item


TEXT = st.text(st.characters(), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)
ITEMS = st.fixed_dictionaries(
    {"name": TEXT | VALUES},
    optional={
        "description": TEXT | VALUES,
        "data": st.dictionaries(TEXT, VALUES, max_size=3) | VALUES,
        "status": st.sampled_from(["active", "draft", "", "A"]) | VALUES,
        "other": VALUES,
    },
)
CLEAN = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
GOOD_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**37), 10**37)
    | st.floats(-1e100, 1e100, allow_subnormal=False)
    | CLEAN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CLEAN.filter(bool), inner, max_size=3),
    max_leaves=10,
)
GOOD_ITEMS = st.fixed_dictionaries(
    {"name": CLEAN.map("x{}".format), "data": st.dictionaries(CLEAN.filter(bool), GOOD_VALUES, max_size=3)},
    optional={"description": CLEAN, "status": st.sampled_from(["active", "draft", "a-b_c1"])},
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good body with a few bytes taken out or put in."""
    body = bytearray(json.dumps(draw(GOOD_ITEMS)).encode())
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(body)))
        body[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(body)


BODIES = st.one_of((GOOD_ITEMS | ITEMS | VALUES).map(json.dumps).map(str.encode), damaged())
# What HTTP allows in a header, no blanks at its ends.
VISIBLE = st.text(string.ascii_letters + string.digits + string.punctuation + " ", max_size=20).map(str.strip)
TAGS = st.sampled_from(['"1"', 'W/"1"', "*", '"', '""', '"1", "2"', '"99999999999999999999"']) | VISIBLE
HEADERS = st.fixed_dictionaries(
    {"Content-Type": st.sampled_from(["application/json"] * 6 + ["text/plain", "application/octet-stream", ";", ""])},
    optional={"If-Match": TAGS, "If-None-Match": TAGS, "Idempotency-Key": VISIBLE, "Origin": VISIBLE},
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "cursor", "status", "other"]),
    st.sampled_from(["1", "0", "x", "active", "e30.AAAA", ""])
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9),
    max_size=3,
)
Sent = tuple[str, str, dict[str, str], dict[str, str], bytes]
REQUESTS: st.SearchStrategy[Sent] = st.one_of(
    st.tuples(st.just("POST"), st.just("/items"), HEADERS, st.just({}), BODIES),
    st.tuples(st.just("PUT"), st.just("/items/{id}"), HEADERS, st.just({}), BODIES),
    st.tuples(
        st.sampled_from(["GET", "HEAD"]), st.sampled_from(["/items", "/items/{id}"]), HEADERS, QUERIES, st.just(b"")
    ),
)


def test_no_request_makes_the_service_fail(signed: Request, edge: Request) -> None:
    # Given an item, and a time to search in
    item = create(signed, name="of the search")
    end = time.monotonic() + SEARCH_SECONDS
    seen: set[int] = set()
    failed: list[object] = []

    @settings(max_examples=350, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(request=REQUESTS)
    def search(request: Sent) -> None:
        # What failed is tried again to be reported, however late it is.
        if time.monotonic() > end and not failed:
            return
        failed.append(request)
        method, path, headers, query, body = request
        send = edge if method in {"GET", "HEAD"} else signed
        content: dict[str, Any] = {"content": body} if body else {}
        # When any request comes
        response = send(method, path.format(**item), headers=headers, params=query, **content)
        # Then it is answered, and what is refused is refused in the one shape
        seen.add(response.status_code)
        assert response.status_code < 500, response.text
        if method == "HEAD":
            assert response.content == b""
        elif response.status_code >= 400:
            fields = [error["field"] for error in response.json()["errors"]]
            assert fields
            assert_problem(response, response.status_code, *fields)
        elif response.status_code == 201:
            # And what is taken is kept as it came; the gateway hands a body on as text.
            sent = loads(body.decode(errors="replace"))
            kept = loads(edge("GET", f"/items/{response.json()['id']}").content)
            assert {name: kept[name] for name in sent} == sent
        failed.remove(request)

    search()
    assert seen >= {200, 201, 400}
