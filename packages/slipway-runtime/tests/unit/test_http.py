"""Paths, methods and headers of proxy events, of both formats."""

from urllib.parse import urljoin

import pytest

from slipway.testing.functions import http_event, rest_event
from slipway_runtime.http import as_get, instance, join_lines, location, method_of, path_of


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/items/7", "/live/items/7"),
        ("/items/a b", "/live/items/a%20b"),
        ("/items/a\r\nX: y", "/live/items/a%0D%0AX:%20y"),
        ("/items/\x00", "/live/items/%00"),
        ('/items/é{}|\\^`"<>#?', "/live/items/%C3%A9%7B%7D%7C%5C%5E%60%22%3C%3E%23%3F"),
        ("/items/\ud800", "/live/items/%3F"),
        # Encoded parts stay encoded, and a percent sign that encodes nothing becomes encoded
        ("/items/a%20b", "/live/items/a%20b"),
        ("/items/100%", "/live/items/100%25"),
        ("/items/%zz", "/live/items/%25zz"),
    ],
)
def test_an_instance_is_a_uri_reference(path: str, written: str) -> None:
    assert instance(rest_event("GET", path)) == written


def test_an_instance_without_a_stage_is_the_path() -> None:
    assert instance(http_event("GET", "/process/a b")) == "/process/a%20b"


@pytest.mark.parametrize("base", ["https://api/live/items", "https://own.example/shop/items", "https://api/items"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_location_keeps_the_prefix_of_the_path(base: str, slash: str) -> None:
    event = rest_event("POST", f"/items{slash}")
    assert urljoin(base + slash, location(event, "items/7")) == f"{base}/7"


def test_a_head_is_routed_as_a_get_in_both_formats() -> None:
    for event in (rest_event("HEAD", "/health"), http_event("HEAD", "/health")):
        changed = as_get(event)
        assert (method_of(event), method_of(changed), path_of(changed)) == ("HEAD", "GET", "/health")
        post = {**event, "httpMethod": "POST"}
        assert as_get(post) is post


def test_only_list_headers_are_joined() -> None:
    event = {"multiValueHeaders": {"if-match": ['"1"', '"2"'], "Idempotency-Key": ["a", "b"]}}
    join_lines(event, "If-Match")
    assert event["multiValueHeaders"] == {"if-match": ['"1", "2"'], "Idempotency-Key": ["a", "b"]}
