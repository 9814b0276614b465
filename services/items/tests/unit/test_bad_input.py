"""The service's own requirements for bodies and queries; those of every API are tested with the runtime."""

import pytest

from services.items.tests.unit.fakes import Harness, proxy_event


@pytest.mark.requirement("errors")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{}", "/name"),
        ('{"name": ""}', "/name"),
        ('{"name": " \\t "}', "/name"),
        # Invisible text: formatting characters, marks without a letter, fillers
        ('{"name": "\\u200b"}', "/name"),
        ('{"name": "\\ufeff \\u2060\\u00ad"}', "/name"),
        ('{"name": "\\u0301\\ufe0f"}', "/name"),
        ('{"name": "\\u3164\\u2800"}', "/name"),
        ('{"name": "' + "x" * 257 + '"}', "/name"),
        ('{"name": "x", "description": "' + "x" * 4097 + '"}', "/description"),
        ('{"name": "x", "status": "Not a word"}', "/status"),
        ('{"name": "x", "status": ""}', "/status"),
        ('{"name": "x", "data": {"a": NaN}}', "/data/a"),
        ('{"name": "x", "version": 3}', "/version"),
    ],
    ids=lambda value: value[:40],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_bad_body_is_refused_and_its_field_named(api: Harness, method: str, body: str, field: str) -> None:
    path, headers = ("/items", {}) if method == "POST" else ("/items/1", {"If-Match": '"1"'})
    answer = api.call(proxy_event(method, path, body=body, headers=headers))
    assert (answer.status, answer.fields) == (400, [field])
    assert not api.items


@pytest.mark.parametrize("name", ["💡" * 256, f"{chr(0x2028)}x", "\u200bx", "👩\u200d🚀"])
def test_visible_text_is_a_name(api: Harness, name: str) -> None:
    answer = api.post({"name": name})
    assert answer.status == 201
    assert api.get(answer.location).text == answer.text


def test_data_that_grows_when_written_out_is_too_large(api: Harness) -> None:
    # Given numbers with few characters, but many digits when written out
    answer = api.post('{"name": "x", "data": {"a": [' + ",".join(["1e39"] * 9_000) + "]}}")
    assert (answer.status, answer.fields) == (413, ["/data"])
    assert not api.items


@pytest.mark.requirement("items: routes")
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "101"}, "limit"),
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


def test_an_id_of_any_length_is_not_an_error(api: Harness) -> None:
    assert api.get("/items/" + "x" * 64).status == 404
    answer = api.get("/items/" + "x" * 65)
    assert (answer.status, answer.fields) == (400, ["id"])
