"""Formats of requests and answers: models that validate the former and describe both in the OpenAPI document."""

import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from services.items.runtime.model import ItemFields
from slipway_runtime.bodies import DATA_LIMITS, canonical
from slipway_runtime.contract import FREE_DATA, Answer, Request
from slipway_runtime.exact_json import MAX_DEPTH, MAX_DIGITS

STATUS_PATTERN = r"^[a-z][a-z0-9_-]{0,31}$"


# Fillers and the blank of Braille: letters and a symbol by their categories, and yet nothing to see.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _visible(name: str) -> str:
    # Letters, numbers, punctuation, symbols: what is left are marks, spaces and what formats text.
    if not any(unicodedata.category(sign)[0] in "LNPS" and sign not in _BLANK for sign in name):
        raise PydanticCustomError("invisible", "should have something to see")
    return name


class _Fields(Request):
    # Unicode of any kind, but something to see.
    name: Annotated[
        str,
        Field(min_length=1, max_length=256, pattern=r"\S", description="What people call it."),
        AfterValidator(_visible),
    ]
    description: Annotated[str, Field(max_length=4096, description="More about it. Default: empty.")] = ""
    data: Annotated[
        dict[str, Any],
        FREE_DATA,
        Field(
            max_length=DATA_LIMITS.values,
            description=(
                f"Any JSON object, at most {MAX_DEPTH} levels deep; a body holds {DATA_LIMITS.values} values at most. "
                f"Numbers come back as they went in: up to {MAX_DIGITS} significant digits, magnitudes from 1E-130 to "
                "9.99E+125. Default: empty."
            ),
        ),
    ] = {}  # noqa: RUF012 - a field of a model
    status: Annotated[
        str, Field(pattern=STATUS_PATTERN, description="A word of your own to filter by. Default: `active`.")
    ] = "active"

    def fields(self) -> ItemFields:
        """Return the same fields for the logic."""
        data = canonical(self.data, DATA_LIMITS)
        return ItemFields(name=self.name, description=self.description, data=data, status=self.status)


class NewItem(_Fields):
    """An item to create."""


class ItemReplacement(_Fields):
    """All that a writer decides about an item. What is left out takes its default."""


class Item(Answer):
    """An item."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    name: str
    description: str
    data: dict[str, Any]
    status: str
    created_at: Annotated[str, Field(description="Instant in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Instant of the last write.")]
    version: Annotated[int, Field(description="One more at every write; the `ETag` is this number in quotes.")]


class ItemPage(Answer):
    """Items, newest first."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="For the next page; null on the last.")]
