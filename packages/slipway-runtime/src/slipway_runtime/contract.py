"""Common parts of the services' OpenAPI documents: formats of answers, and parameters."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from slipway_runtime.faults import faults
from slipway_runtime.http import IDEMPOTENCY_KEY

FAULTS: Final = "faults"
"""Type of a validation error that contains several, as `faults` in its context: pairs of a path and a sentence."""


class Request(BaseModel):
    """The body of a request: only its own fields, each of its own type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _without_faults(data: dict[str, Any]) -> dict[str, Any]:
    if found := faults(data, "data"):
        raise PydanticCustomError(FAULTS, "has faults", {FAULTS: found})
    return data


FREE_DATA: Final = AfterValidator(_without_faults)
"""Validates the member `data` of a body, a JSON object of any kind: it must be returned exactly as it was sent."""


class Answer(BaseModel):
    """Format of an answer.

    It describes an answer without validating it, so pydantic builds no validator while a function starts.
    """

    model_config = ConfigDict(defer_build=True)


class Health(Answer):
    """Health of the service."""

    status: Annotated[str, Field(description="`ok`")]
    environment: str
    function_version: str
    remaining_time_ms: int


class ProblemField(Answer):
    """A field at fault."""

    field: Annotated[str, Field(description="JSON pointer into the body (RFC 6901), or a parameter or header.")]
    message: str


class Problem(Answer):
    """Why a request failed (RFC 9457)."""

    # Factories stay out of the document; default values would be listed there, although an omitted member has none.
    type: str
    title: Annotated[str, Field(default_factory=str, description="The reason phrase of the status.")]
    status: Annotated[int, Field(default_factory=int, description="Missing if API Gateway failed: see the answer's.")]
    detail: Annotated[str, Field(default_factory=str)]
    instance: Annotated[str, Field(description="Path of the request, a URI reference.")]
    request_id: Annotated[str, Field(description="The request's id in the API's access log.")]
    errors: Annotated[list[ProblemField], Field(description="The fields at fault, if any.")]


def _digits(value: Any) -> Any:
    # Pydantic accepts everything that Python's `int` does: `1_0`, `+1`, digits of other scripts, spaces around them.
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise PydanticCustomError("digits", "should be written in the digits 0 to 9")
    return value


Limit = Annotated[int, BeforeValidator(_digits), Query(ge=1, le=100, description="Maximum entries on a page.")]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=IDEMPOTENCY_KEY,
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The caller's name for this request, such as a UUID.",
    ),
]


def success(description: str, model: type, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the description of an answer with content.

    Args:
        description: One sentence.
        model: The content's model.
        headers: Descriptions of its headers, by name. Default: none.
    """
    named = {name: {"description": text, "schema": {"type": "string"}} for name, text in (headers or {}).items()}
    return {"description": description, "content": {"application/json": {"model": model}}, "headers": named}


def problems(descriptions: Mapping[int, str]) -> dict[Any, Any]:
    """Return the descriptions of answers that are problems, by status."""
    content: Final = {"application/problem+json": {"model": Problem}}
    return {status: {"description": text, "content": content} for status, text in sorted(descriptions.items())}
