"""Output of an emulated account: access logs, responses without a body, encryption in S3's format."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from slipway.emulator.extensions.access_logs import render
from slipway.emulator.extensions.application import without_body
from slipway.emulator.extensions.keys import bucket_encryption


def test_values_enter_a_log_unescaped() -> None:
    form = '{"error":"$context.error.message","quoted":$context.error.messageString}'
    message = 'no "Authorization"'
    line = render(form, {"error.message": message, "error.messageString": json.dumps(message)})
    assert line == '{"error":"no "Authorization"","quoted":"no \\"Authorization\\""}'


def test_an_unknown_variable_is_a_dash() -> None:
    assert render("$context.status $context.identity.user.", {"status": 200}) == "200 -."


def sent(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of an application that reach the server."""
    found: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        found.append(message)

    async def run() -> None:
        rightly = without_body(send)
        for message in messages:
            await rightly(message)

    asyncio.run(run())
    return found


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_loses_body_and_length(status: int) -> None:
    headers = [(b"Content-Length", b"2"), (b"x", b"y")]
    start, body = sent(
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": b"{}"},
    )
    assert (start["headers"], body["body"]) == ([(b"x", b"y")], b"")


def test_other_answers_are_not_changed() -> None:
    messages = (
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]},
        {"type": "http.response.body", "body": b"{}"},
    )
    assert sent(*messages) == list(messages)


def test_a_buckets_key_is_written_as_s3_writes_it() -> None:
    rule = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "arn:key"},
        "BucketKeyEnabled": True,
    }
    text = bucket_encryption({"ServerSideEncryptionConfiguration": [rule]})
    assert "<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>arn:key</KMSMasterKeyID>" in text
    assert "<BucketKeyEnabled>true</BucketKeyEnabled>" in text
