"""Records and jobs, and their storage format."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from slipway_runtime.clock import instant
from slipway_runtime.shards import SHARDS

INLINE_BYTES: Final = 4096
"""Payloads up to this many bytes of UTF-8 stay in the table; larger ones go to the bucket."""

PAYLOAD_BYTES: Final = 6_000_000
"""Size of the largest payload, in the bytes that it takes up in an invocation of Lambda (`carried_bytes`).

Lambda accepts and returns 6 MB, 6,291,456 bytes. The rest is for headers, the request's context and the other members
of a record.
"""

BATCH_RECORDS: Final = 25
"""Records in one message of the work queue."""

JOB_RECORDS: Final = 1_000_000
"""Records in one job; others wait for the next. The job's item holds the numbers of its open batches, 4 bytes each, and
DynamoDB takes 400 KB for an item."""


class RecordStatus(StrEnum):
    """Progress of a record."""

    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"


class JobStatus(StrEnum):
    """Progress of a job. The last two are final unless the dead letters are redriven."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record without its payload.

    Attributes:
        owner: Digest of the API key that sent it.
        created_at: Time in UTC, ISO 8601 with microseconds and `Z`.
        expires_at: Unix time at which it expires, seconds.
        size: Bytes of the payload as UTF-8.
        sha256: Digest of those bytes, hexadecimal.
        reason: Why it failed.
    """

    id: str
    owner: str
    status: RecordStatus
    created_at: str
    expires_at: int
    size: int
    sha256: str
    completed_at: str | None = None
    reason: str | None = None

    @property
    def in_bucket(self) -> bool:
        """Return True if the payload is in the bucket."""
        return self.size > INLINE_BYTES

    def document(self) -> dict[str, Any]:
        """Return the record as clients see it."""
        return {
            "id": self.id,
            "status": self.status.value,
            "created_at": self.created_at,
            "expires_at": instant(datetime.fromtimestamp(self.expires_at, UTC)),
            "completed_at": self.completed_at,
            "reason": self.reason,
            "size": self.size,
            "sha256": self.sha256,
        }


class StoredRecord(NamedTuple):
    """A record in the table, with its payload unless that is in the bucket."""

    record: Record
    inline: str | None


class Failure(NamedTuple):
    """Why something failed, with the record if there is one."""

    reason: str
    record: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the failure as clients see it."""
        return {"record": self.record, "reason": self.reason}


class GivenUp(NamedTuple):
    """Why a part of a job is in the dead letters, and the Unix time from which that is certain."""

    reason: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: the records that were pending when it was planned.

    Attributes:
        owner: Digest of the API key that asked for it.
        deadline: Unix time by which every message of it has been received the maximum number of times.
        total: Records in it; None until it is planned.
        completed: Records that are completed, by this job or another.
        failed: Records that cannot be completed.
        open: Batches that are not processed.
        given_up: Parts that are in the dead letters: `PLAN`, or a batch's number.
        failures: The first of the reasons.
    """

    id: str
    owner: str
    created_at: str
    expires_at: int
    deadline: int
    total: int | None = None
    completed: int = 0
    failed: int = 0
    open: frozenset[int] = frozenset()
    given_up: Mapping[str, GivenUp] = field(default_factory=dict)
    failures: Sequence[Failure] = ()

    def status(self, now: int) -> JobStatus:
        """Return the job's status at a Unix time. It is derived from what is stored, so it cannot contradict it."""
        if self.total is not None and not self.open:
            return JobStatus.FAILED if self.failed else JobStatus.COMPLETED
        waiting = {str(batch) for batch in self.open} if self.total is not None else {PLAN}
        gone = {part for part, given_up in self.given_up.items() if given_up.since <= now}
        if waiting <= gone or now >= self.deadline:
            return JobStatus.FAILED
        return JobStatus.QUEUED if self.total is None else JobStatus.PROCESSING

    @property
    def _unfinished(self) -> frozenset[str]:
        if self.total is None:
            return frozenset({PLAN})
        # A plan that is stored may have been given up before all its messages were sent.
        return frozenset({PLAN, *map(str, self.open)}) if self.open else frozenset()

    def document(self, now: int) -> dict[str, Any]:
        """Return the job as clients see it at a Unix time."""
        status = self.status(now)
        failures = list(self.failures)
        # Only of unfinished parts: a failure may have been recorded for a part that was completed later.
        failures += [
            Failure(given_up.reason)
            for part, given_up in self.given_up.items()
            if part in self._unfinished and given_up.since <= now
        ]
        if status is JobStatus.FAILED and not failures:
            failures.append(Failure(UNANSWERED))
        return {
            "id": self.id,
            "status": status.value,
            "created_at": self.created_at,
            "expires_at": instant(datetime.fromtimestamp(self.expires_at, UTC)),
            "total": self.total,
            "completed": self.completed,
            "failed": self.failed,
            "failures": [failure.document() for failure in failures],
        }


PLAN: Final = "plan"
"""The part of a job that is not a batch: finding its records."""

UNANSWERED: Final = "at every try the function was killed or ran out of time or memory"
"""Reason for a message in the dead letters without a reason."""

FAILURES_KEPT: Final = 100
"""Reasons that a job keeps; each record that failed has its own."""


def pending_shards(owner: str) -> Sequence[str]:
    """Return the index keys of a caller's pending records."""
    return tuple(f"{owner}#{shard}" for shard in SHARDS)


def owner_of(api_key: str) -> str:
    """Return the owner that an API key stands for: a digest, so that no key is stored."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:32]


def carried_bytes(payload: str) -> int:
    r"""Return a payload's size within a Lambda invocation, where a body is a JSON string in a JSON document.

    Text counts its size in UTF-8; `"` and `\` count 4, line breaks and tabs 3, other control characters 7:
    each is escaped twice.
    """
    escaped = 3 * (payload.count('"') + payload.count("\\"))
    escaped += 2 * sum(payload.count(character) for character in "\b\t\n\f\r")
    if not payload.isprintable():
        escaped += 6 * sum(payload.count(chr(code)) for code in range(32) if chr(code) not in "\b\t\n\f\r")
    return len(payload.encode()) + escaped
