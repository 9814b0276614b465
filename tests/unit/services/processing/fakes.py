"""In-memory stand-ins for the service's own interfaces, and proxy events of format 2.0 as an HTTP API sends them."""

# ruff: isort: off
from tests.unit.services import environment  # noqa: F401 - before any function's module
from tests.unit.services.processing import variables  # noqa: F401
# ruff: isort: on

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from services.processing.runtime import routes
from services.processing.runtime.api import handler
from services.processing.runtime.errors import RecordNotFoundError, ResultLostError
from services.processing.runtime.jobs import job_of
from services.processing.runtime.logic import Processing
from services.processing.runtime.model import Job, Outcome, Page, Record, Status
from services.processing.runtime.uploads import UploadForm
from services.processing.runtime.work import Worker
from slipway_runtime.exact_json import loads
from tests.unit.services.fakes import Clock, Context

ALICE, BOB = "a11ce000-0000-4000-8000-000000000000", "b0b00000-0000-4000-8000-000000000000"


class MemoryRecords:
    """`RecordStorage` in a dict. `failure` is raised by whatever is called next, and from then on."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], Record] = {}
        self.failure: Exception | None = None

    def create(self, record: Record, *, now: int) -> Record | None:
        self._fail()
        existing = self.records.get((record.owner, record.id))
        if existing is not None and existing.expires_at > now:
            return existing
        self.records[record.owner, record.id] = record
        return None

    def get(self, owner: str, record_id: str, *, now: int) -> Record | None:
        self._fail()
        record = self.records.get((owner, record_id))
        return record if record is not None and record.expires_at > now else None

    def complete(self, owner: str, record_id: str, *, updated_at: str) -> bool:
        self._fail()
        record = self.records.get((owner, record_id))
        if record is None or record.status is Status.VALIDATED:
            raise RecordNotFoundError
        if record.status is Status.PROCESSED:
            return False
        self.records[owner, record_id] = replace(record, status=Status.PROCESSED, updated_at=updated_at)
        return True

    def page(self, owner: str, status: Status, *, limit: int, before: str | None, now: int) -> Page:
        self._fail()
        found = sorted(
            (
                record
                for record in self.records.values()
                if (record.owner, record.status) == (owner, status) and (before is None or record.recency < before)
            ),
            key=lambda record: record.recency,
            reverse=True,
        )
        shown = found[:limit]
        return Page(
            [record for record in shown if record.expires_at > now],
            before=shown[-1].recency if len(found) > limit else None,
        )

    def check(self) -> None:
        self._fail()

    def _fail(self) -> None:
        if self.failure:
            raise self.failure


class MemoryResults:
    """`ResultStorage` in a dict; counts what is put."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.puts = 0
        self.failure: Exception | None = None

    def put(self, record_id: str, text: str) -> None:
        if self.failure:
            raise self.failure
        self.texts[record_id] = text
        self.puts += 1

    def get(self, record_id: str) -> str:
        try:
            return self.texts[record_id]
        except KeyError:
            raise ResultLostError from None


class MemoryJobs:
    """`Jobs` in a list: sent as JSON, as they travel."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.failure: Exception | None = None

    def send(self, job: Job) -> None:
        if self.failure:
            raise self.failure
        self.sent.append(json.dumps(job._asdict()))


class FakeForms:
    """`UploadForms` that sign nothing."""

    max_bytes = 1000
    content_types: Sequence[str] = ("text/plain", "application/json")

    def make(self, key: str, content_type: str) -> UploadForm:
        return UploadForm(key, "https://bucket.example/", {"key": key, "Content-Type": content_type})


@dataclass
class Harness:
    """The API and the worker over fakes. Calls go through the function's own handler."""

    records: MemoryRecords = field(default_factory=MemoryRecords)
    results: MemoryResults = field(default_factory=MemoryResults)
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    clock: Clock = field(default_factory=Clock)
    context: Context = field(default_factory=Context)

    def bind(self) -> "Harness":
        routes.bind(
            routes.Wiring(
                processing=Processing(
                    records=self.records,
                    results=self.results,
                    jobs=self.jobs,
                    uploads=FakeForms(),
                    days=7,
                    clock=self.clock,
                ),
                probe=self.records,
                environment="dev",
            )
        )
        return self

    @property
    def worker(self) -> Worker:
        return Worker(records=self.records, results=self.results, clock=self.clock)

    def work(self) -> list[Outcome]:
        """Does every job that was sent and is not done."""
        done = [self.worker.do(job_of(json.loads(text))) for text in self.jobs.sent]
        self.jobs.sent.clear()
        return done

    def call(self, event: dict[str, Any]) -> "Answer":
        # An event arrives as JSON, and the answer leaves as JSON.
        return Answer(json.loads(json.dumps(handler(json.loads(json.dumps(event)), self.context))))

    def post(self, path: str, body: Any, *, owner: str | None = ALICE, **headers: str) -> "Answer":
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return self.call(proxy_event("POST", path, body=body, headers=given, owner=owner))

    def get(self, path: str, *, owner: str | None = ALICE, **query: str) -> "Answer":
        return self.call(proxy_event("GET", path, query=query, owner=owner))


class Answer:
    """What the function gave back."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.status: int = raw["statusCode"]
        self.text: str = raw["body"]
        self.headers: dict[str, str] = raw["headers"]

    @property
    def location(self) -> str:
        """Where `Location` leads from the root that the routes are below, as a client resolves it."""
        return urljoin("/", str(self.headers["Location"]))

    @property
    def json(self) -> Any:
        return loads(self.text)

    @property
    def fields(self) -> list[str]:
        return [error["field"] for error in self.json["errors"]]


def proxy_event(
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    owner: str | None = ALICE,
    encoded: bool = False,
    token_use: str = "access",  # noqa: S107
) -> dict[str, Any]:
    """An HTTP API's proxy event. A body that is no text is sent as JSON."""
    sent = {"accept": "*/*", "host": "abc123.execute-api.us-east-1.amazonaws.com"}
    text = body if body is None or isinstance(body, str) else json.dumps(body)
    if text is not None:
        sent["content-type"] = "application/json"
    sent |= dict(headers or {})
    if encoded and text is not None:
        text = base64.b64encode(text.encode()).decode()
    context: dict[str, Any] = {
        "accountId": "111111111111",
        "apiId": "abc123",
        "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "unit"},
        "requestId": "gateway-request",
        "routeKey": f"{method} {path}",
        "stage": "$default",
    }
    if owner is not None:
        claims = {"sub": owner, "token_use": token_use, "client_id": "client"}
        context["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in (query or {}).items()),
        "headers": sent,
        "requestContext": context,
        "isBase64Encoded": encoded,
    }
    # As API Gateway does: what is not there is left out.
    if query:
        event["queryStringParameters"] = dict(query)
    if text is not None:
        event["body"] = text
    return event
