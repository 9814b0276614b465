"""What requests and answers look like: the models that validate the ones and describe both in the OpenAPI document."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from services.common.exact_json import MAX_DEPTH, MAX_DIGITS, InexactError, printable, require_exact
from services.items.runtime.model import ItemFields

STATUS_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"


def _exact(data: dict[str, Any]) -> dict[str, Any]:
    try:
        require_exact(data, "data")
    except InexactError as error:
        context = {"field": printable(error.path), "reason": error.reason}
        raise PydanticCustomError("inexact", "{reason}", context) from None
    return data


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    # Unicode of any kind, but something to see.
    name: Annotated[str, Field(min_length=1, max_length=256, pattern=r"\S", description="What people call it.")]
    description: Annotated[str, Field(max_length=4096, description="More about it. Default: empty.")] = ""
    data: Annotated[
        dict[str, Any],
        AfterValidator(_exact),
        Field(
            description=(
                f"Any JSON object, at most {MAX_DEPTH} levels deep. Numbers come back as they went in: up to "
                f"{MAX_DIGITS} significant digits, magnitudes from 1E-130 to 9.99E+125. Default: empty."
            )
        ),
    ] = {}
    status: Annotated[
        str, Field(pattern=STATUS_PATTERN, description="A word of your own to filter by. Default: `active`.")
    ] = "active"

    def fields(self) -> ItemFields:
        """The same, for the logic."""
        return ItemFields(name=self.name, description=self.description, data=self.data, status=self.status)


class NewItem(_Fields):
    """An item to create."""


class ItemReplacement(_Fields):
    """All that a writer decides about an item. What is left out takes its default."""


class Item(BaseModel):
    """An item."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    name: str
    description: str
    data: dict[str, Any]
    status: str
    created_at: Annotated[str, Field(description="Instant in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Instant of the last write.")]
    version: Annotated[int, Field(description="One more at every write; the `ETag` is this number in quotes.")]


class ItemPage(BaseModel):
    """Items, newest first."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="For the next page; null on the last.")]


class Health(BaseModel):
    """The service as it is now."""

    status: Annotated[str, Field(description="`ok`")]
    environment: str
    function_version: str
    remaining_time_ms: int


class ProblemField(BaseModel):
    """A field at fault."""

    field: str
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
