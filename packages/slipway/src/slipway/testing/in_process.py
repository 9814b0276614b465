"""AWS services in a test's own process: botocore's real clients, answered by the emulator's code without a socket.

A fake of our own would know the expressions of one service; this one refuses what the emulator refuses, and keeps what
DynamoDB, S3 and SQS keep. Each `InProcess` is an account of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config

_REGION = "us-east-1"
_accounts = count(500_000_000_000)

Interference = Callable[[str], None]
"""Learns of each call, as `PutItem`, before or after it is carried out, and may raise."""


class _Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: object, **__: object) -> Sequence[bytes]:
        """Return the whole."""
        return [self._content]

    def read(self, amount: int | None = None) -> bytes:
        """Return what is left, or a part of it."""
        size = len(self._content) if amount is None else amount
        given, self._content = self._content[:size], self._content[size:]
        return given


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _client(service: str) -> Any:
    """Return a client of whichever account is the present one; making one takes 20 ms."""
    made = _session().create_client(
        service,
        region_name=_REGION,
        aws_access_key_id="in-process",
        aws_secret_access_key="in-process",  # noqa: S106  # nosec B106  # nobody checks it
        config=Config(
            retries={"total_max_attempts": 2},
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    made.meta.events.register(f"before-send.{service}", _send)
    return made


def _send(**sent: Any) -> Any:
    return InProcess.present.send(**sent)


class InProcess:
    """An account with services in this process. The one that was made last is the present one.

    Attributes:
        before: Learns of each call before it is carried out, and may raise instead.
        after: Learns of each call after it, and may raise instead of the answer.
        most_items: How many items a query of DynamoDB looks at, at most, as if they were large.
        calls: What was called, as `PutItem`.
    """

    present: ClassVar[InProcess]

    def __init__(self) -> None:
        self.account = str(next(_accounts))
        self.before: Interference = lambda _: None
        self.after: Interference = lambda _: None
        self.most_items: int | None = None
        self.calls: list[str] = []
        self._buckets = count()
        InProcess.present = self

    def client(self, service: str) -> Any:
        """Return the client of a service: `dynamodb`, `s3` or `sqs`."""
        return _client(service)

    def fail(self, error: BaseException | None, *operations: str) -> None:
        """Let calls from now on raise an error; None ends it.

        Args:
            error: What they raise.
            operations: Which calls, such as `PutItem`. Default: all.
        """

        def interfere(operation: str) -> None:
            if error is not None and (not operations or operation in operations):
                raise error

        self.before = interfere

    def table(self, name: str, key: str, *indexes: tuple[str, str, str]) -> None:
        """Create a table.

        Args:
            name: Of the table.
            key: Its partition key, a text.
            indexes: Name, partition key and sort key of each index.
        """
        keys = {key, *(attribute for _, *attributes in indexes for attribute in attributes)}
        self.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in sorted(keys)],
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            **({"GlobalSecondaryIndexes": [_index(*index) for index in indexes]} if indexes else {}),
        )

    def items(self, table: str) -> list[dict[str, Any]]:
        """Return everything in a table, whatever interferes with calls."""
        with self._aside():
            found: list[dict[str, Any]] = self.client("dynamodb").scan(TableName=table)["Items"]
        return found

    def bucket(self) -> str:
        """Create a bucket, and return its name, which no other account has."""
        name = f"bucket-{self.account}-{next(self._buckets)}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def objects(self, bucket: str) -> list[str]:
        """Return the keys of everything in a bucket, whatever interferes with calls."""
        with self._aside():
            listed = self.client("s3").list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Look without leaving a trace."""
        before, after, calls, self.calls = self.before, self.after, self.calls, []
        self.before = self.after = lambda _: None
        try:
            yield
        finally:
            self.before, self.after, self.calls = before, after, calls

    def send(self, request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        """Answer a request of a client, in the network's place."""
        service, operation = event_name.split(".")[1:]
        self.calls.append(operation)
        self.before(operation)
        answer = self._answer(service, operation, request)
        self.after(operation)
        return answer

    def _answer(self, service: str, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        # It imports much: not before a test needs it.
        from ministack.core import responses
        from ministack.services import dynamodb, s3, sqs

        handlers: Mapping[str, Any] = {"dynamodb": dynamodb, "s3": s3, "sqs": sqs}
        responses.set_request_account_id(self.account)
        responses.set_request_region(_REGION)
        url = urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        query: dict[str, list[str]] = {}
        for name, value in parse_qsl(url.query, keep_blank_values=True):
            query.setdefault(name, []).append(value)
        content = _bytes(request.body)
        if operation == "Query" and self.most_items is not None:
            asked = json.loads(content)
            content = json.dumps({**asked, "Limit": min(asked["Limit"], self.most_items)}).encode()
        handled = handlers[service].handle_request(request.method, url.path, headers, content, query)
        status, given, text = asyncio.run(handled)
        answer: Any = {**given, "Content-Length": str(len(_bytes(text)))}
        return AWSResponse(request.url, status, answer, _Raw(_bytes(text)))


def _bytes(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _index(name: str, partition: str, sort: str) -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [
            {"AttributeName": partition, "KeyType": "HASH"},
            {"AttributeName": sort, "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
