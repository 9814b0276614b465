"""Stored data of a request: a record in the table, and the result of a job in the bucket."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Status(StrEnum):
    """Progress of a request."""

    VALIDATED = "validated"
    PENDING = "pending"
    PROCESSED = "processed"


class JobStatus(StrEnum):
    """Progress of a job, as its owner sees it."""

    PENDING = "pending"
    PROCESSED = "processed"
    FAILED = "failed"


class Outcome(StrEnum):
    """Result of a job."""

    DONE = "done"
    DONE_BEFORE = "done before"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The stored part of one request.

    Attributes:
        owner: Subject of the token that the request came with.
        created_at: Time in UTC, ISO 8601 with microseconds and `Z`.
        updated_at: Instant of the last change, in the same form.
        digest: SHA-256 of the data, to distinguish requests.
        expires_at: Unix time at which the record expires, seconds.
    """

    id: str
    owner: str
    status: Status
    created_at: str
    updated_at: str
    digest: str
    expires_at: int

    @property
    def recency(self) -> str:
        """Sort key of the index: the instant of creation, then the id, so that no two are equal."""
        return f"{self.created_at}#{self.id}"

    def document(self) -> dict[str, Any]:
        """Return the record as its owner sees it."""
        return {
            "id": self.id,
            "status": self.status.value,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


class Job(NamedTuple):
    """Work for the worker. The data travels as text, so that no reader on the way turns its numbers into floats."""

    owner: str
    id: str
    data: str


class Page(NamedTuple):
    """Records newest first, and the recency before which older ones follow, if they do."""

    records: list[Record]
    before: str | None


def digest_of(text: str) -> str:
    """Return the SHA-256 of canonical JSON."""
    return hashlib.sha256(text.encode()).hexdigest()
