"""The API and the worker with an in-process table and bucket, and proxy events of format 2.0."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.processing.runtime import routes
from services.processing.runtime.api import handler
from services.processing.runtime.jobs import job_of
from services.processing.runtime.logic import Processing
from services.processing.runtime.model import Job, Outcome
from services.processing.runtime.storage import BY_STATUS, DynamoDBRecordStorage, S3ResultStorage
from services.processing.runtime.work import Worker
from slipway.testing.functions import Answer, Clock, Context, answer_of, http_event
from slipway.testing.in_process import InProcess
from slipway_runtime.probe import TableProbe
from slipway_runtime.uploads import UploadForm

ALICE, BOB = "a11ce000-0000-4000-8000-000000000000", "b0b00000-0000-4000-8000-000000000000"


def account() -> InProcess:
    """Return an account with the table of records."""
    made = InProcess()
    made.table("records", "owned_id", (BY_STATUS, "owner_status", "recency"))
    return made


class MemoryJobs:
    """`Jobs` in a list, as the JSON that is sent."""

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
    """The API and the worker with fakes. Calls go through the function's own handler."""

    aws: InProcess = field(default_factory=account)
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    clock: Clock = field(default_factory=Clock)
    context: Context = field(default_factory=Context)

    def __post_init__(self) -> None:
        dynamodb = self.aws.client("dynamodb")
        self.records = DynamoDBRecordStorage(dynamodb, "records")
        self.bucket = self.aws.bucket()
        self.results = S3ResultStorage(self.aws.client("s3"), self.bucket)
        self.probe = TableProbe("records", "owned_id", client=lambda: dynamodb)

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
                probe=self.probe,
                environment="dev",
            )
        )
        return self

    @property
    def worker(self) -> Worker:
        return Worker(records=self.records, results=self.results, clock=self.clock)

    @property
    def kept(self) -> list[dict[str, str]]:
        """The records in the table."""
        items = self.aws.items("records")
        return [{name: str(next(iter(value.values()))) for name, value in item.items()} for item in items]

    def work(self) -> list[Outcome]:
        """Process every job that was sent."""
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
    """Return a request as the HTTP API passes it to the function."""
    claims = {"sub": owner, "token_use": token_use, "client_id": "client"} if owner is not None else None
    return http_event(method, path, body=body, headers=headers, query=query, claims=claims, encoded=encoded)
