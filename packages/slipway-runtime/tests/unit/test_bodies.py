"""Bodies from both kinds of API: which are read, and which are refused before they are parsed."""

import base64
import gzip
from collections.abc import Callable
from typing import Any

import pytest

from slipway.testing.functions import http_event, rest_event
from slipway_runtime.bodies import DATA_LIMITS, check_body
from slipway_runtime.http import header
from slipway_runtime.problems import Problem

KINDS = pytest.mark.parametrize("make", [rest_event, http_event])
Make = Callable[..., dict[str, Any]]
BODY = '{"name": "x"}'


def numbers(count: int) -> str:
    """Return a body with this number of values."""
    return '{"a": [' + ",".join(["1"] * (count - 2)) + "]}"


def refused(event: dict[str, Any]) -> tuple[int, list[str]]:
    """Return status and fields of the problem."""
    with pytest.raises(Problem) as caught:
        check_body(event, DATA_LIMITS)
    return caught.value.status, [error.field for error in caught.value.errors]


@KINDS
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/octet-stream", "", "json"],
)
def test_another_content_type_is_refused(make: Make, content_type: str) -> None:
    assert refused(make("POST", "/x", body=BODY, headers={"Content-Type": content_type})) == (415, ["Content-Type"])


@KINDS
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_content_types_are_accepted_and_normalised(make: Make, content_type: str) -> None:
    event = make("POST", "/x", body=BODY, headers={"Content-Type": content_type})
    check_body(event, DATA_LIMITS)
    assert header(event, "Content-Type") == "application/json"


@KINDS
@pytest.mark.parametrize("encoded", [True, False])
def test_a_compressed_body_is_refused(make: Make, encoded: bool) -> None:
    # Given a compressed body that no gateway unpacked, in base64 or as damaged text
    packed = gzip.compress(BODY.encode())
    text = base64.b64encode(packed).decode() if encoded else packed.decode("utf-8", "replace")
    event = make("POST", "/x", body="", headers={"Content-Encoding": "gzip"})
    assert refused(event | {"body": text, "isBase64Encoded": encoded}) == (415, ["Content-Encoding"])


@KINDS
@pytest.mark.parametrize("coding", ["gzip", "identity", "Identity"])
def test_a_body_that_the_gateway_unpacked_is_read(make: Make, coding: str) -> None:
    check_body(make("POST", "/x", body=BODY, headers={"Content-Encoding": coding}), DATA_LIMITS)


@KINDS
@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("encoded", [True, False])
def test_a_body_has_a_maximum_number_of_values(make: Make, encoded: bool, coding: str) -> None:
    headers = {"Content-Encoding": coding}
    check_body(make("POST", "/x", body=numbers(DATA_LIMITS.values), headers=headers, encoded=encoded), DATA_LIMITS)
    more = make("POST", "/x", body=numbers(DATA_LIMITS.values + 1), headers=headers, encoded=encoded)
    assert refused(more) == (413, ["body"])


@KINDS
@pytest.mark.parametrize("encoded", [True, False])
@pytest.mark.parametrize("sign", ["x", "ä"])
def test_size_is_counted_in_bytes(make: Make, encoded: bool, sign: str) -> None:
    fits = f'"{sign * ((DATA_LIMITS.size - 2) // len(sign.encode()))}"'
    check_body(make("POST", "/x", body=fits, encoded=encoded), DATA_LIMITS)
    for more in (f"{fits}  ", "x" * 5_000_000):
        assert refused(make("POST", "/x", body=more, encoded=encoded)) == (413, ["body"])


@KINDS
@pytest.mark.parametrize("sent", [b'{"name": "caf\xe9"}', b'{"name": "\xff\xfe"}'])
def test_replaced_bytes_are_refused_by_the_announced_length(make: Make, sent: bytes) -> None:
    # Given a body as API Gateway forwards it, with its bytes replaced
    headers = {"Content-Length": str(len(sent))}
    assert refused(make("POST", "/x", body=sent.decode("utf-8", "replace"), headers=headers)) == (400, ["body"])


@KINDS
def test_a_sent_replacement_character_is_accepted(make: Make) -> None:
    body = '{"name": "\ufffd"}'
    for headers in ({"Content-Length": str(len(body.encode()))}, {}):
        check_body(make("POST", "/x", body=body, headers=headers), DATA_LIMITS)


@KINDS
@pytest.mark.parametrize("body", ["/w==", "not base64!", "7aCA"])
def test_bytes_that_are_not_text_are_refused(make: Make, body: str) -> None:
    event = make("POST", "/x", body="", headers={"Content-Type": "application/json"})
    assert refused(event | {"body": body, "isBase64Encoded": True}) == (400, ["body"])
