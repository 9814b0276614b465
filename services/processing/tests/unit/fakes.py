"""In-memory stand-ins for the service's own interfaces, and proxy events of format 2.0 as an HTTP API sends them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.processing.runtime import routes
from services.processing.runtime.api import handler
from services.processing.runtime.errors import RecordNotFoundError, ResultLostError
from services.processing.runtime.jobs import job_of
from services.processing.runtime.logic import Processing
from services.processing.runtime.model import Job, Outcome, Page, Record, Status
from services.processing.runtime.uploads import UploadForm
from services.processing.runtime.work import Worker
from slipway.testing.functions import Answer, Clock, Context, answer_of, http_event

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
        routes.api.bind(
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

    def call(self, event: dict[str, Any]) -> Answer:
        return answer_of(handler, event, self.context)

    def post(self, path: str, body: Any, *, owner: str | None = ALICE, **headers: str) -> Answer:
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        return self.call(proxy_event("POST", path, body=body, headers=given, owner=owner))

    def get(self, path: str, *, owner: str | None = ALICE, **query: str) -> Answer:
        return self.call(proxy_event("GET", path, query=query, owner=owner))


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
    """A request as the HTTP API hands it over."""
    claims = {"sub": owner, "token_use": token_use, "client_id": "client"} if owner is not None else None
    return http_event(method, path, body=body, headers=headers, query=query, claims=claims, encoded=encoded)
