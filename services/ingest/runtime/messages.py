"""The messages of both queues. A queue may contain anything, so parsing validates a message."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from services.ingest.runtime.errors import NotOursError
from services.ingest.runtime.model import BATCH_RECORDS


class JobMessage(NamedTuple):
    """A request to plan a job."""

    job: str

    def text(self) -> str:
        """Return the message's body."""
        return json.dumps({"job": self.job})


class BatchMessage(NamedTuple):
    """A request to process some records of a job."""

    job: str
    batch: int
    records: Sequence[str]

    def text(self) -> str:
        """Return the message's body."""
        return json.dumps({"job": self.job, "batch": self.batch, "records": list(self.records)})


def job_message(body: str) -> JobMessage:
    """Parse a message of the job queue.

    Raises:
        NotOursError: The body is not such a message.
    """
    fields = _fields(body, {"job"})
    return JobMessage(job=_uuid(fields["job"], "job"))


def batch_message(body: str) -> BatchMessage:
    """Parse a message of the work queue.

    Raises:
        NotOursError: The body is not such a message.
    """
    fields = _fields(body, {"job", "batch", "records"})
    batch, records = fields["batch"], fields["records"]
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 0:
        raise NotOursError("batch is not the number of a batch")
    if not isinstance(records, list) or not 1 <= len(records) <= BATCH_RECORDS:
        raise NotOursError(f"records is not a list of 1 to {BATCH_RECORDS} ids")
    ids = [_uuid(record, "records") for record in records]
    if len(set(ids)) != len(ids):
        raise NotOursError("records names a record twice")
    return BatchMessage(job=_uuid(fields["job"], "job"), batch=batch, records=ids)


def _fields(body: str, names: set[str]) -> Mapping[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise NotOursError("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise NotOursError("the body is not a JSON object")
    if fields.keys() != names:
        raise NotOursError(f"the body's members are not {', '.join(sorted(names))}")
    return fields


def _uuid(value: object, name: str) -> str:
    try:
        if isinstance(value, str) and str(UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise NotOursError(f"{name} is not an id of this service")
