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


# Fillers and the blank of Braille: invisible, although their categories are letters and a symbol.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _visible(name: str) -> str:
    # Letters, numbers, punctuation, symbols; the other categories are marks, spaces and formatting characters.
    if not any(unicodedata.category(sign)[0] in "LNPS" and sign not in _BLANK for sign in name):
        raise PydanticCustomError("invisible", "should contain a visible character")
    return name


class _Fields(Request):
    # Any Unicode text with a visible character.
    name: Annotated[
        str,
        Field(min_length=1, max_length=256, pattern=r"\S", description="Name for people."),
        AfterValidator(_visible),
    ]
    description: Annotated[str, Field(max_length=4096, description="Description. Default: empty.")] = ""
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
        str, Field(pattern=STATUS_PATTERN, description="Any word, which lists can be filtered by. Default: `active`.")
    ] = "active"

    def fields(self) -> ItemFields:
        """Return the same fields for the logic."""
        data = canonical(self.data, DATA_LIMITS)
        return ItemFields(name=self.name, description=self.description, data=data, status=self.status)


class NewItem(_Fields):
    """An item to create."""


class ItemReplacement(_Fields):
    """All fields that a writer sets. Missing fields get their defaults."""


class Item(Answer):
    """An item."""

    id: Annotated[str, Field(description="A UUID, made by the service.")]
    name: str
    description: str
    data: dict[str, Any]
    status: str
    created_at: Annotated[str, Field(description="Time of creation in UTC, ISO 8601.")]
    updated_at: Annotated[str, Field(description="Time of the last write.")]
    version: Annotated[
        int, Field(description="Increases by one with every write; the `ETag` is this number in quotes.")
    ]


class ItemPage(Answer):
    """Items, newest first."""

    items: list[Item]
    next_cursor: Annotated[str | None, Field(description="For the next page; null on the last.")]
