"""Bad input gets a 4xx that names the field, whatever it is."""

import pytest

from services.items.tests.unit.fakes import Harness, proxy_event
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.problems import MAX_ERRORS


def deep(levels: int) -> str:
    """An item whose data is nested that deep."""
    return '{"name": "x", "data": ' + '{"a": ' * (levels - 1) + "{}" + "}" * (levels - 1) + "}"


@pytest.mark.requirement("errors")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", "body"),
        ("{", "body"),
        ("null", "body"),
        ("7", "body"),
        ('"text"', "body"),
        ("[]", "body"),
        ('[{"name": "x"}]', "body"),
        ('{"name": "x"} trailing', "body"),
        ('{"name": "x", "name": "y"}', "body"),
        ('{"name": "x", "data": {"a": 1, "a": 2}}', "body"),
        ('{"name": "x", "data": ' + "[" * 9_000, "body"),
        ("{}", "/name"),
        ('{"name": null}', "/name"),
        ('{"name": 7}', "/name"),
        ('{"name": ""}', "/name"),
        ('{"name": " \\t "}', "/name"),
        # Nothing to see: what formats text, marks without a letter, fillers
        ('{"name": "\\u200b"}', "/name"),
        ('{"name": "\\ufeff \\u2060\\u00ad"}', "/name"),
        ('{"name": "\\u0301\\ufe0f"}', "/name"),
        ('{"name": "\\u3164\\u2800"}', "/name"),
        ('{"name": "' + "x" * 257 + '"}', "/name"),
        ('{"name": "\\ud800"}', "/name"),
        ('{"name": "x", "description": true}', "/description"),
        ('{"name": "x", "description": "' + "x" * 4097 + '"}', "/description"),
        ('{"name": "x", "status": "Not a word"}', "/status"),
        ('{"name": "x", "status": ""}', "/status"),
        ('{"name": "x", "data": []}', "/data"),
        ('{"name": "x", "data": "text"}', "/data"),
        ('{"name": "x", "id": "mine"}', "/id"),
        ('{"name": "x", "version": 3}', "/version"),
        ('{"name": "x", "data": {"a": NaN}}', "/data/a"),
        ('{"name": "x", "data": {"a": [0, -Infinity]}}', "/data/a/1"),
        ('{"name": "x", "data": {"a": 1e126}}', "/data/a"),
        ('{"name": "x", "data": {"a": 1e-131}}', "/data/a"),
        ('{"name": "x", "data": {"a": 1e99999999999999999999}}', "/data/a"),
        ('{"name": "x", "data": {"a": 123456789012345678901234567890123456789}}', "/data/a"),
        ('{"name": "x", "data": {"a": 0.' + "3" * 39 + "}}", "/data/a"),
        ('{"name": "x", "data": {"a": ' + "9" * 10_000 + "}}", "/data/a"),
        ('{"name": "x", "data": {"a": {"b": "\\udc00"}}}', "/data/a/b"),
        ('{"name": "x", "data": {"\\ud800": 1}}', "/data/?"),
        (deep(21), "/data" + "/a" * 20),
    ],
    ids=lambda value: value[:40],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_body_is_refused_and_its_field_named(api: Harness, method: str, body: str, field: str) -> None:
    path, headers = ("/items", {}) if method == "POST" else ("/items/1", {"If-Match": '"1"'})
    answer = api.call(proxy_event(method, path, body=body, headers=headers))
    assert (answer.status, answer.fields) == (400, [field])
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not api.storage.items


@pytest.mark.parametrize(
    "body",
    [
        deep(20),
        '{"name": "x", "data": {"a": 9.9999999999999999999999999999999999999e125, "b": -1e-130}}',
        '{"name": "x", "data": {"a": 1' + "0" * 125 + ', "b": 0.' + "0" * 60 + "1, " + '"c": 0e999, "d": -0.0}}',
        '{"name": "' + "💡" * 256 + '"}',
        '{"name": "' + chr(0x2028) + 'x"}',
        '{"name": "\\u200bx"}',
        '{"name": "👩\\u200d🚀"}',
        '{"name": "x", "data": {"": {"": 1}}}',
    ],
    ids=lambda value: value[:40],
)
def test_what_is_just_allowed_is_kept(api: Harness, body: str) -> None:
    answer = api.post(body)
    assert answer.status == 201
    assert api.get(answer.location).text == answer.text


@pytest.mark.requirement("errors")
def test_every_fault_of_a_body_is_named(api: Harness) -> None:
    answer = api.post({"description": 1, "status": 2, "other": 3})
    assert sorted(answer.fields) == ["/description", "/name", "/other", "/status"]


def test_largest_body_is_accepted_and_one_byte_more_refused(api: Harness) -> None:
    frame = '{"name": "x", "data": {"a": ""}}'
    fits = frame.replace('""', '"' + "x" * (DATA_LIMITS.size - len(frame)) + '"')
    assert len(fits) == DATA_LIMITS.size
    assert api.post(fits).status == 201
    answer = api.post(fits + " ")
    assert (answer.status, answer.fields) == (413, ["body"])


def numbers(count: int, number: str = "1") -> str:
    """An item with so many values in all."""
    return '{"name": "x", "data": {"a": [' + ",".join([number] * (count - 4)) + "]}}"


def test_data_that_grows_when_written_out_is_too_large(api: Harness) -> None:
    # Given numbers whose digits are many, in few characters
    answer = api.post(numbers(9_000, "1e39"))
    assert (answer.status, answer.fields) == (413, ["/data"])
    assert not api.storage.items


def test_there_is_an_end_to_the_faults_that_are_named(api: Harness) -> None:
    answer = api.post("{" + ",".join(f'"{number}": 1' for number in range(9_000)) + "}")
    assert (answer.status, len(answer.fields)) == (400, MAX_ERRORS + 1)
    assert answer.json["errors"][-1]["message"].startswith("has 9001 faults")


@pytest.mark.requirement("items: routes")
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "1.5"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "1_0"}, "limit"),
        ({"limit": "+5"}, "limit"),
        ({"limit": " 5"}, "limit"),
        ({"limit": "5.0"}, "limit"),
        ({"limit": "\u0665"}, "limit"),
        ({"status": "NOT"}, "status"),
        ({"status": ""}, "status"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "made.up"}, "cursor"),
        ({"cursor": "x" * 600}, "cursor"),
    ],
)
def test_a_bad_query_is_refused_and_its_parameter_named(api: Harness, query: dict[str, str], field: str) -> None:
    answer = api.get("/items", query)
    assert (answer.status, answer.fields) == (400, [field])


def test_a_parameter_given_twice_is_refused(api: Harness) -> None:
    event = proxy_event("GET", "/items", query={"limit": "5"}, headers={"X-Origin-Verify": "o" * 32})
    event["multiValueQueryStringParameters"] = {"limit": ["5", "6"]}
    answer = api.call(event)
    assert (answer.status, answer.fields) == (400, ["limit"])


def test_an_id_of_any_length_is_no_failure(api: Harness) -> None:
    assert api.get("/items/" + "x" * 64).status == 404
    answer = api.get("/items/" + "x" * 3000)
    assert (answer.status, answer.fields) == (400, ["id"])


def test_a_path_that_is_none_gets_a_problem(api: Harness) -> None:
    for method, path in (("GET", "/"), ("GET", "/other"), ("PATCH", "/items/1"), ("GET", "/items/1/2")):
        answer = api.call(proxy_event(method, path))
        assert (answer.status, answer.fields) == (404, ["path"])
        assert answer.headers["Content-Type"] == "application/problem+json"
