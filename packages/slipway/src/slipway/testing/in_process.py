"""AWS services in a test's own process: botocore's real clients, answered by the emulator's code without a socket.

A fake of our own would only support the expressions that one service uses; this one refuses what the emulator refuses,
and stores what DynamoDB, S3 and SQS store. Each `InProcess` is a separate account.
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
"""Called with the name of each operation, such as `PutItem`, before or after it is executed; may raise an error."""


class _Raw:
    """The body of an answer, as urllib3 gives it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: object, **__: object) -> Sequence[bytes]:
        """Return the whole."""
        return [self._content]

    def read(self, amount: int | None = None) -> bytes:
        """Return the rest, or a part of it."""
        size = len(self._content) if amount is None else amount
        given, self._content = self._content[:size], self._content[size:]
        return given


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _client(service: str) -> Any:
    """Return a client for the current account, cached because creating one takes 20 ms."""
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
    """An account with services in this process. The account that was created last is the current one.

    Attributes:
        before: Called before each operation is executed; may raise an error instead.
        after: Called after each operation; may raise an error instead of its answer.
        most_items: Maximum number of items that a DynamoDB query reads per page, as if they were large.
        calls: Names of the called operations, such as `PutItem`.
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
        """Make calls raise an error from now on; None ends it.

        Args:
            error: The error.
            operations: Names of the operations, such as `PutItem`. Default: all.
        """

        def interfere(operation: str) -> None:
            if error is not None and (not operations or operation in operations):
                raise error

        self.before = interfere

    def table(self, name: str, key: str, *indexes: tuple[str, str, str]) -> None:
        """Create a table.

        Args:
            name: Name of the table.
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
        """Return everything in a table; failures set by `fail` don't apply."""
        with self._aside():
            found: list[dict[str, Any]] = self.client("dynamodb").scan(TableName=table)["Items"]
        return found

    def bucket(self) -> str:
        """Create a bucket, and return its name, which no other account has."""
        name = f"bucket-{self.account}-{next(self._buckets)}"
        self.client("s3").create_bucket(Bucket=name)
        return name

    def objects(self, bucket: str) -> list[str]:
        """Return the keys of everything in a bucket; failures set by `fail` don't apply."""
        with self._aside():
            listed = self.client("s3").list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Suspend failures and the recording of calls."""
        before, after, calls, self.calls = self.before, self.after, self.calls, []
        self.before = self.after = lambda _: None
        try:
            yield
        finally:
            self.before, self.after, self.calls = before, after, calls

    def send(self, request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        """Answer a client's request in place of the network."""
        service, operation = event_name.split(".")[1:]
        self.calls.append(operation)
        self.before(operation)
        answer = self._answer(service, operation, request)
        self.after(operation)
        return answer

    def _answer(self, service: str, operation: str, request: AWSPreparedRequest) -> AWSResponse:
        # Imported late, because it imports many modules.
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
