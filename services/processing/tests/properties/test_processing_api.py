"""Whatever comes in, the API answers with a document; what it accepts, the worker changes in its strings alone."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.processing.runtime.logic import upper
from services.processing.runtime.model import Outcome
from services.processing.tests.unit.fakes import ALICE, BOB, Harness, proxy_event
from slipway_runtime.exact_json import dumps, loads
from slipway_runtime.faults import faults

ROUTES = ["/validate", "/process", "/uploads", "/results", "/health", "/process/1"]
PATHS = st.one_of(
    st.sampled_from([*ROUTES, "/", "//", "/process/"]), st.text(max_size=30).map(lambda text: f"/process/{text}")
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
# API Gateway hands on header values and query strings as text without control characters.
LINES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "idempotency-key", "origin", "accept-encoding"]),
    LINES | st.sampled_from(["application/json", "gzip", "multipart/form-data; boundary=", "k"]),
)
QUERIES = st.dictionaries(
    st.sampled_from(["limit", "cursor", "status"]) | LINES,
    LINES | st.sampled_from(["1", "-1", "1,2", "processed", "e30"]),
    max_size=4,
)
# Any text, with halves of surrogate pairs, as JSON's escapes can carry them.
TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
BODIES = (
    st.none()
    | TEXT
    | JSON.map(json.dumps)
    | st.fixed_dictionaries({"data": JSON}, optional={"content_type": JSON, "other": JSON}).map(json.dumps)
)
UNICODE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.builds(
    lambda sign, digits, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 1),
    st.integers(0, 10**38 - 1),
    st.integers(-130, 125 - 37),
)
VALID = st.recursive(
    st.none() | st.booleans() | NUMBERS | UNICODE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(UNICODE, inner, max_size=4),
    max_leaves=15,
)
DATA = st.dictionaries(UNICODE, VALID, max_size=4)

ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.requirement("errors")
@ANY_SPEED
@given(
    method=METHODS,
    path=PATHS,
    parts=st.fixed_dictionaries({"headers": HEADERS, "query": QUERIES}),
    body=BODIES,
    encoded=st.booleans(),
    owner=st.sampled_from([ALICE, None]),
)
def test_no_request_makes_the_service_fail(
    *, method: str, path: str, parts: dict[str, dict[str, str]], body: str | None, encoded: bool, owner: str | None
) -> None:
    # Given any request that API Gateway would hand on
    event = proxy_event(method, path, headers=parts["headers"], query=parts["query"], owner=owner)
    event["isBase64Encoded"] = encoded
    if body is not None:
        event["body"] = body
    # When it is answered
    answer = Harness().bind().call(event)
    # Then the failure, if there is one, is the request's, and its document is valid
    assert answer.status < 500
    answer.text.encode()
    if answer.status >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json["status"] == answer.status
        assert answer.fields


@pytest.mark.requirement("processing: process")
@ANY_SPEED
@given(data=DATA)
def test_a_job_changes_strings_and_nothing_else(data: dict[str, Any]) -> None:
    # Given data without faults
    assert faults(data, "data") == []
    api = Harness().bind()
    # When it is processed
    accepted = api.post("/process", f'{{"data":{dumps(data)}}}')
    assert accepted.status == 202
    assert api.work() == [Outcome.DONE]
    # Then its shape, its keys and its numbers are as they were, and its strings are in upper case
    result = api.get(accepted.location).json["result"]
    assert _skeleton(result) == _skeleton(data)
    assert _strings(result) == [text.upper() for text in _strings(data)]
    # And whoever processes it again changes nothing but what Unicode's own mapping still changes
    assert upper(result) == upper(upper(data))


@pytest.mark.requirement("processing: validate")
@ANY_SPEED
@given(data=JSON)
def test_a_fault_is_named_where_it_is(data: Any) -> None:
    # Given any JSON value as Python writes it, NaN and halves of pairs among it
    parsed = loads(json.dumps({"data": {"member": data}}))["data"]
    # When its faults are named
    for path, _ in faults(parsed, "data"):
        # Then each path is valid text that starts at the data
        path.encode()
        assert path.startswith("/data")
    # And data without faults can be written and read by others
    if not faults(parsed, "data"):
        json.loads(dumps(parsed).encode())


@pytest.mark.requirement("processing: process")
@ANY_SPEED
@given(data=DATA, other=DATA, key=st.text("abc", min_size=1, max_size=3))
def test_no_two_callers_share_a_job(data: dict[str, Any], other: dict[str, Any], key: str) -> None:
    api = Harness().bind()
    first = api.post("/process", f'{{"data":{dumps(data)}}}', Idempotency_Key=key)
    second = api.post("/process", f'{{"data":{dumps(other)}}}', owner=BOB, Idempotency_Key=key)
    api.work()
    assert api.get(first.location, owner=BOB).status == 404
    assert api.get(second.location, owner=ALICE).status == 404
    assert api.get(second.location, owner=BOB).json["result"] == upper(other)


def _skeleton(value: Any) -> Any:
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return [_skeleton(element) for element in value]
    if isinstance(value, dict):
        return {key: _skeleton(element) for key, element in value.items()}
    return value


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for element in value for text in _strings(element)]
    if isinstance(value, dict):
        return [text for key in sorted(value) for text in _strings(value[key])]
    return []
