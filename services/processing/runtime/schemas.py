"""Formats of requests and answers: models that validate the former and describe both in the OpenAPI document."""

from typing import Annotated, Any

from pydantic import Field

from services.processing.runtime.model import JobStatus, Status
from slipway_runtime.bodies import DATA_LIMITS
from slipway_runtime.contract import FREE_DATA, Answer, Request
from slipway_runtime.exact_json import MAX_DEPTH, MAX_DIGITS


class Submission(Request):
    """Data to validate or to process."""

    data: Annotated[
        dict[str, Any],
        FREE_DATA,
        Field(
            max_length=DATA_LIMITS.values,
            description=(
                f"Any JSON object, at most {MAX_DEPTH} levels deep; a body holds {DATA_LIMITS.values} values at most. "
                f"Numbers stay exact: up to {MAX_DIGITS} significant digits, magnitudes from 1E-130 to 9.99E+125."
            ),
            examples=[{"name": "Straße", "tags": ["a", "b"], "watts": 7.5}],
        ),
    ]


class UploadRequest(Request):
    """The object to upload."""

    content_type: Annotated[str, Field(description="Media type; one of the allowed.", examples=["text/plain"])]


class Record(Answer):
    """The stored part of a request."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    status: Status
    created_at: Annotated[str, Field(description="Time in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Instant of the last change.")]


class Job(Answer):
    """A job and, once it is processed, its result."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    status: JobStatus
    created_at: Annotated[str, Field(description="Time in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Instant of the last change.")]
    reason: Annotated[str | None, Field(description="Why it failed; absent unless it did.")] = None
    result: Annotated[
        dict[str, Any] | None, Field(description="The data with its strings in upper case; absent while pending.")
    ] = None


class RecordPage(Answer):
    """The caller's records, newest first."""

    results: list[Record]
    next_cursor: Annotated[str | None, Field(description="For the next page; null on the last.")]


class Upload(Answer):
    """A form to upload one object with: POST `fields` and then the file as `file`, multipart, to `url`."""

    id: str
    key: Annotated[str, Field(description="Name of the object in the bucket.")]
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_in_seconds: int
