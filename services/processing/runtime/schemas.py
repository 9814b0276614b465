"""What requests and answers look like: the models that validate the ones and describe both in the OpenAPI document."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.common.api import FAULTS
from services.common.exact_json import MAX_DEPTH, MAX_DIGITS
from services.processing.runtime.faults import faults
from services.processing.runtime.model import Status


def _without_faults(data: dict[str, Any]) -> dict[str, Any]:
    if found := faults(data):
        raise PydanticCustomError(FAULTS, "has faults", {FAULTS: found})
    return data


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Submission(_Request):
    """Data to validate or to process."""

    data: Annotated[
        dict[str, Any],
        AfterValidator(_without_faults),
        Field(
            description=(
                f"Any JSON object, at most {MAX_DEPTH} levels deep. Numbers stay exact: up to {MAX_DIGITS} significant "
                "digits, magnitudes from 1E-130 to 9.99E+125."
            ),
            examples=[{"name": "Straße", "tags": ["a", "b"], "watts": 7.5}],
        ),
    ]


class UploadRequest(_Request):
    """What is going to be uploaded."""

    content_type: Annotated[str, Field(description="Media type; one of the allowed.", examples=["text/plain"])]


class Record(BaseModel):
    """What is kept of a request."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    status: Status
    created_at: Annotated[str, Field(description="Instant in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Instant of the last change.")]


class Job(Record):
    """A job and, once it is processed, its result."""

    result: Annotated[
        dict[str, Any] | None, Field(description="The data with its strings in upper case; absent while pending.")
    ] = None


class RecordPage(BaseModel):
    """The caller's records, newest first."""

    results: list[Record]
    next_cursor: Annotated[str | None, Field(description="For the next page; null on the last.")]


class Upload(BaseModel):
    """A form to upload one object with: POST `fields` and then the file as `file`, multipart, to `url`."""

    id: str
    key: Annotated[str, Field(description="Name of the object in the bucket.")]
    url: str
    fields: dict[str, str]
    max_bytes: int
    expires_in_seconds: int


class Health(BaseModel):
    """The service as it is now."""

    status: Annotated[str, Field(description="`ok`")]
    environment: str
    function_version: str
    remaining_time_ms: int


class ProblemField(BaseModel):
    """A field at fault."""

    field: Annotated[str, Field(description="Of a body, a JSON pointer (RFC 6901).")]
    message: str


class Problem(BaseModel):
    """Why a request failed (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    instance: Annotated[str, Field(description="Path of the request.")]
    request_id: Annotated[str, Field(description="The request's id in the API's access log.")]
    errors: Annotated[list[ProblemField], Field(description="The fields at fault, where fields are.")]
