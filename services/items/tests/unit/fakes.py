"""The API with an in-process table, and proxy events in API Gateway's format."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.items.runtime import routes
from services.items.runtime.api import handler
from services.items.runtime.cursor import SignedCursors
from services.items.runtime.idempotency import CreatedOnce
from services.items.runtime.logic import ItemService
from services.items.runtime.storage import BY_RECENCY, BY_STATUS, DynamoDBItemStorage
from slipway.testing.fakes import FakeSecretsManager, MemoryPersistence, Ticks
from slipway.testing.functions import Answer, Clock, Context, answer_of, named, rest_event
from slipway.testing.in_process import InProcess
from slipway_runtime.http import Cors
from slipway_runtime.probe import TableProbe
from slipway_runtime.secrets import CachedSecret

ORIGIN = "o" * 32
CALLER = "arn:aws:sts::111111111111:assumed-role/Writer/session-1"


def account() -> InProcess:
    """Return an account with the table of items."""
    made = InProcess()
    made.table("items", "id", (BY_RECENCY, "shard", "recency"), (BY_STATUS, "status_shard", "recency"))
    return made


@dataclass
class Harness:
    """The API with fakes. Calls go through the function's own handler."""

    aws: InProcess = field(default_factory=account)
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
        dynamodb = self.aws.client("dynamodb")
        routes.api.bind(
            routes.Wiring(
                items=ItemService(
                    storage=DynamoDBItemStorage(dynamodb, "items"),
                    cursors=SignedCursors(cursor_secret),
                    once=CreatedOnce(lambda: self.persistence),
                    clock=Clock(),
                ),
                probe=TableProbe("items", "id", client=lambda: dynamodb),
                origin_secret=origin_secret,
                cors=Cors(self.cors),
                environment="dev",
            )
        )
        return self

    @property
    def items(self) -> list[dict[str, Any]]:
        """The content of the table."""
        return self.aws.items("items")

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
    """Return a request as the REST API passes it to the function."""
    identity = {"userArn": caller}
    return rest_event(method, path, body=body, headers=headers, query=query, identity=identity, encoded=encoded)
