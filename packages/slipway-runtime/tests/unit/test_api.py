"""Unreadable bodies are refused with the field, which is also logged, for both kinds of API."""

import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from slipway.testing.functions import Context, http_event, rest_event
from slipway_runtime import api, bodies
from slipway_runtime.problems import Problem
from slipway_runtime.telemetry import logger

KINDS = pytest.mark.parametrize("make", [rest_event, http_event])
KNOWN = {"body", "Content-Encoding", "Content-Type"}
Make = Callable[..., dict[str, Any]]


def refused(event: dict[str, Any], status: int, logs: io.StringIO) -> Any:
    """Return the answer, after checking that its log line has the same fields."""
    logger.inject_lambda_context(lambda *_: None)({}, Context())
    logs.truncate(0)
    with pytest.raises(Problem) as caught:
        bodies.check_body(event, bodies.DATA_LIMITS)
    answer = api.refused(caught.value, event, KNOWN)
    assert answer.status_code == status
    fields = [error["field"] for error in json.loads(answer.body or "")["errors"]]
    lines = [json.loads(line) for line in logs.getvalue().strip("\0").splitlines()]
    assert [line["fields"] for line in lines if line["message"] == "refused"] == [fields]
    return fields


@KINDS
def test_another_content_type_is_named(make: Make, logs: io.StringIO) -> None:
    event = make("POST", "/x", body={}, headers={"Content-Type": "text/plain"})
    assert refused(event, 415, logs) == ["Content-Type"]


@KINDS
def test_a_compressed_body_is_named(make: Make, logs: io.StringIO) -> None:
    text = gzip.compress(b"{}").decode("utf-8", "replace")
    assert refused(make("POST", "/x", body=text, headers={"Content-Encoding": "gzip"}), 415, logs) == [
        "Content-Encoding"
    ]


@KINDS
def test_invalid_utf_8_is_named(make: Make, logs: io.StringIO) -> None:
    text = b'{"name": "\xff"}'.decode("utf-8", "replace")
    assert refused(make("POST", "/x", body=text, headers={"Content-Length": "13"}), 400, logs) == ["body"]


@KINDS
def test_too_many_values_are_named(make: Make, logs: io.StringIO) -> None:
    text = "[" + ",".join(["1"] * (bodies.DATA_LIMITS.values + 1)) + "]"
    assert refused(make("POST", "/x", body=text), 413, logs) == ["body"]
