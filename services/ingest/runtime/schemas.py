"""Formats of requests and answers: models that validate the former and describe both in the OpenAPI document."""

from typing import Annotated

from pydantic import Field

from services.ingest.runtime.model import INLINE_BYTES, PAYLOAD_BYTES, JobStatus, RecordStatus
from slipway_runtime.contract import Answer, Request


class NewRecord(Request):
    """A record to keep."""

    payload: Annotated[
        str,
        Field(
            min_length=1,
            description=(
                f"Text of any kind, which comes back exactly. At most {PAYLOAD_BYTES} bytes of UTF-8, of which a quote "
                "or a backslash counts 4, a line break or tab 3, another control character 7. Binary data as base64. "
                f"Above {INLINE_BYTES} bytes it is kept in the bucket instead of the table."
            ),
            examples=["temperature=21.5"],
        ),
    ]


class Record(Answer):
    """A record."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    status: RecordStatus
    created_at: Annotated[str, Field(description="Time in UTC, ISO 8601.")]
    expires_at: Annotated[str, Field(description="Instant at which the record expires.")]
    completed_at: Annotated[str | None, Field(description="Instant at which it was completed or failed.")]
    reason: Annotated[str | None, Field(description="Why it failed.")]
    size: Annotated[int, Field(description="Bytes of the payload as UTF-8.")]
    sha256: Annotated[str, Field(description="Digest of those bytes, hexadecimal.")]


class RecordWithPayload(Record):
    """A record with its payload."""

    payload: Annotated[str | None, Field(description="As it was sent; null where it was lost, and `failed` says so.")]


class Failure(Answer):
    """Something that failed."""

    record: Annotated[str | None, Field(description="The record; null where a part of the job could not be done.")]
    reason: str


class Job(Answer):
    """A job."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    status: JobStatus
    created_at: Annotated[str, Field(description="Time in UTC, ISO 8601.")]
    expires_at: Annotated[str, Field(description="Instant at which the job expires.")]
    total: Annotated[int | None, Field(description="Records in the job; null until they are counted.")]
    completed: Annotated[int, Field(description="Number of completed records.")]
    failed: Annotated[int, Field(description="Number of failed records.")]
    failures: Annotated[list[Failure], Field(description="What failed and why; the first 100 or so.")]


class Health(Answer):
    """The API as it is now."""

    status: Annotated[str, Field(description="`ok`")]
    environment: str
