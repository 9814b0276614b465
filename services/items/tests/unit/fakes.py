"""In-memory stand-ins for our own interfaces, and proxy events as API Gateway sends them.

Fakes of our interfaces rather than mocks of AWS's: they keep what they are given, so a test can ask for the outcome.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.idempotency import BasePersistenceLayer
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord

from services.items.runtime import routes
from services.items.runtime.api import handler
from services.items.runtime.cursor import SignedCursors
from services.items.runtime.errors import ItemExistsError, ItemNotFoundError, VersionMismatchError
from services.items.runtime.idempotency import CreatedOnce
from services.items.runtime.logic import ItemService
from services.items.runtime.model import Item, ItemFields
from slipway.testing.functions import Answer, Clock, Context, answer_of, client_error, named, rest_event
from slipway_runtime.http import Cors
from slipway_runtime.secrets import CachedSecret

ORIGIN = "o" * 32
CALLER = "arn:aws:sts::111111111111:assumed-role/Writer/session-1"


class MemoryItemStorage:
    """`ItemStorage` in a dict. `failure` is raised by whatever is called next, and from then on."""

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.made_by: dict[str, str] = {}
        self.failure: Exception | None = None

    def create(self, item: Item, *, made_by: str) -> Item:
        self._fail()
        if item.id in self.items:
            if self.made_by[item.id] == made_by:
                return self.items[item.id]
            raise ItemExistsError(self.items[item.id], self.made_by[item.id])
        self.items[item.id], self.made_by[item.id] = item, made_by
        return item

    def get(self, item_id: str) -> Item | None:
        self._fail()
        return self.items.get(item_id)

    def replace(self, item_id: str, fields: ItemFields, *, versions: Sequence[int], updated_at: str) -> Item:
        self._fail()
        item = self._of_version(item_id, versions)
        self.items[item_id] = replace(
            item,
            name=fields.name,
            description=fields.description,
            data=fields.data,
            status=fields.status,
            updated_at=updated_at,
            version=item.version + 1,
        )
        return self.items[item_id]

    def delete(self, item_id: str, *, versions: Sequence[int]) -> None:
        self._fail()
        self._of_version(item_id, versions)
        del self.items[item_id]

    def newest(self, *, about: int, before: str | None, status: str | None) -> Iterator[Item]:
        self._fail()
        found = [
            item
            for item in self.items.values()
            if (before is None or item.recency < before) and status in {None, item.status}
        ]
        yield from sorted(found, key=lambda item: item.recency, reverse=True)

    def check(self) -> None:
        self._fail()

    def _fail(self) -> None:
        if self.failure:
            raise self.failure

    def _of_version(self, item_id: str, versions: Sequence[int]) -> Item:
        if item_id not in self.items:
            raise ItemNotFoundError
        if self.items[item_id].version not in versions:
            raise VersionMismatchError
        return self.items[item_id]


class MemoryPersistence(BasePersistenceLayer):
    """Powertools' records in a dict, with the conditions of its DynamoDB layer."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.records: dict[str, DataRecord] = {}
        self.failure: Exception | None = None
        # Called once the record in progress is written: what happens while a request is worked on.
        self.meanwhile: Callable[[], None] | None = None

    def _get_record(self, idempotency_key: str) -> DataRecord:
        try:
            return self.records[idempotency_key]
        except KeyError:
            raise IdempotencyItemNotFoundError from None

    def _put_record(self, data_record: DataRecord) -> None:
        if self.failure:
            raise self.failure
        old = self.records.get(data_record.idempotency_key)
        if old is not None and not self._lapsed(old):
            self._validate_payload(data_record, old)
            raise IdempotencyItemAlreadyExistsError(old_data_record=old)
        self.records[data_record.idempotency_key] = data_record
        if self.meanwhile:
            self.meanwhile()

    def _update_record(self, data_record: DataRecord) -> None:
        self.records[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record: DataRecord) -> None:
        del self.records[data_record.idempotency_key]

    @staticmethod
    def _lapsed(record: DataRecord) -> bool:
        now = datetime.now(UTC).timestamp()
        if (record.expiry_timestamp or 0) < now:
            return True
        in_progress = record.in_progress_expiry_timestamp
        return record.status == "INPROGRESS" and in_progress is not None and in_progress < now * 1000


class FakeSecretsManager:
    """Secrets Manager with the values of one secret's stages; counts what it is asked."""

    class meta:  # noqa: N801 - Powertools marks the clients it is given
        class events:  # noqa: N801
            @staticmethod
            def register(*_: object, **__: object) -> None:
                pass

            unregister = register
            register_first = register

    def __init__(self, field_name: str, **stages: str) -> None:
        self.field = field_name
        self.stages = stages
        self.calls: list[str] = []
        self.away = False

    def get_secret_value(self, *, SecretId: str, VersionStage: str) -> dict[str, str]:  # noqa: N803
        self.calls.append(VersionStage)
        if self.away:
            raise client_error("InternalServiceError", "GetSecretValue")
        if VersionStage not in self.stages:
            raise client_error("ResourceNotFoundException", "GetSecretValue")
        return {"SecretString": json.dumps({self.field: self.stages[VersionStage]})}


class Ticks:
    """A monotonic clock that stands still until it is moved, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Harness:
    """The API over fakes. Calls go through the function's own handler."""

    storage: MemoryItemStorage = field(default_factory=MemoryItemStorage)
    persistence: MemoryPersistence = field(default_factory=MemoryPersistence)
    cursor_secret: FakeSecretsManager = field(default_factory=lambda: FakeSecretsManager("key", AWSCURRENT="k1" * 32))
    origin_secret: FakeSecretsManager = field(default_factory=lambda: FakeSecretsManager("header", AWSCURRENT=ORIGIN))
    ticks: Ticks = field(default_factory=Ticks)
    context: Context = field(default_factory=Context)
    cors: str = "*"

    def bind(self) -> "Harness":
        cursor_secret = CachedSecret(
            lambda: self.cursor_secret,  # type: ignore[arg-type, return-value]
            "cursor",
            "key",
            stages=("AWSCURRENT", "AWSPREVIOUS"),
            clock=self.ticks,
        )
        origin_secret = CachedSecret(
            lambda: self.origin_secret,  # type: ignore[arg-type, return-value]
            "origin",
            "header",
            clock=self.ticks,
        )
        routes.api.bind(
            routes.Wiring(
                items=ItemService(
                    storage=self.storage,
                    cursors=SignedCursors(cursor_secret),
                    once=CreatedOnce(lambda: self.persistence),
                    clock=Clock(),
                ),
                probe=self.storage,
                origin_secret=origin_secret,
                cors=Cors(self.cors),
                environment="dev",
            )
        )
        return self

    def call(self, event: dict[str, Any]) -> Answer:
        return answer_of(handler, event, self.context)

    def post(self, body: Any, **headers: str) -> Answer:
        return self.call(proxy_event("POST", "/items", body=body, headers=named(headers)))

    def get(self, path: str, query: Mapping[str, str] | None = None, **headers: str) -> Answer:
        given = {"X-Origin-Verify": ORIGIN} | named(headers)
        return self.call(proxy_event("GET", path, query=query, headers=given))

    def put(self, path: str, body: Any, **headers: str) -> Answer:
        return self.call(proxy_event("PUT", path, body=body, headers=named(headers)))

    def delete(self, path: str, **headers: str) -> Answer:
        return self.call(proxy_event("DELETE", path, headers=named(headers)))

    def pages(self, **query: str) -> Iterator[list[dict[str, Any]]]:
        while True:
            page = self.get("/items", query).json
            yield page["items"]
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]


def proxy_event(
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    caller: str | None = CALLER,
    encoded: bool = False,
) -> dict[str, Any]:
    """A request as the REST API hands it over."""
    identity = {"userArn": caller}
    return rest_event(method, path, body=body, headers=headers, query=query, identity=identity, encoded=encoded)
