"""What is told of a bad request is the same in all services, and their logs know the names."""

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from services.ingest.tests.unit import fakes as ingest
from services.items.tests.unit import fakes
from services.processing.tests.unit import fakes as processing


def to_items(**headers: str) -> Any:
    event = fakes.proxy_event("POST", "/items", body={"name": "x"}, headers=fakes.named(headers))
    return fakes.Harness().bind(), event


def to_ingest(**headers: Any) -> Any:
    return ingest.Service(), ingest.proxy_event("POST", "/data", body={"payload": "x"}, **headers)


def to_processing(**headers: str) -> Any:
    # An HTTP API writes names of headers in lower case.
    sent = {name.lower(): value for name, value in fakes.named(headers).items()}
    return processing.Harness().bind(), processing.proxy_event("POST", "/process", body={"data": {}}, headers=sent)


SERVICES = pytest.mark.parametrize("to", [to_items, to_ingest, to_processing])
KEYED = pytest.mark.parametrize("to", [to_items, to_processing])
To = Callable[..., Any]


def refused(to: To, status: int, logs: io.StringIO, change: dict[str, Any] | None = None, **headers: str) -> Any:
    """The names of the fields at fault, which the log has, too."""
    service, event = to(**headers)
    logs.truncate(0)
    answer = service.call(event | (change or {}))
    assert answer.status == status, answer.text
    (line,) = [
        line for line in map(json.loads, logs.getvalue().strip("\0").splitlines()) if line["message"] == "refused"
    ]
    assert line["fields"] == answer.fields
    return answer


@KEYED
def test_a_bad_key_is_named_as_people_write_it(to: To, logs: io.StringIO) -> None:
    assert refused(to, 400, logs, Idempotency_Key="a b").fields == ["Idempotency-Key"]


@SERVICES
def test_another_content_type_is_named(to: To, logs: io.StringIO) -> None:
    assert refused(to, 415, logs, Content_Type="text/plain").fields == ["Content-Type"]


@SERVICES
def test_a_compressed_body_is_named_and_told_what_is_read(to: To, logs: io.StringIO) -> None:
    text = gzip.compress(b"{}").decode("utf-8", "replace")
    answer = refused(to, 415, logs, {"body": text}, Content_Encoding="gzip")
    assert answer.fields == ["Content-Encoding"]
    assert answer.headers["Accept-Encoding"] == "identity"


@SERVICES
def test_what_was_not_utf_8_is_named(to: To, logs: io.StringIO) -> None:
    text = b'{"name": "\xff"}'.decode("utf-8", "replace")
    assert refused(to, 400, logs, {"body": text}, Content_Length="13").fields == ["body"]


@SERVICES
def test_too_many_values_are_named(to: To, logs: io.StringIO) -> None:
    text = "[" + ",".join(["1"] * 10_001) + "]"
    assert refused(to, 413, logs, {"body": text}).fields == ["body"]
