"""The format for accepting a fault: a reason, a responsible owner, and an expiry date.

Waivers of the change review and accepted advisories of the supply chain are entries in this format, in TOML files of
the app. Acknowledgements of the nag gate contain the same, but at their construct (`slipway.nag.reason`).
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from slipway.errors import UsageError

FEWEST_WORDS: Final = 5
"""Minimum number of words in a reason. Meaningful sentences are rarely shorter."""

_WORD = re.compile(r"[^\W_][\w'-]*")

_Model = TypeVar("_Model", bound=BaseModel)


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without numbers."""
    return [word.casefold() for word in _WORD.findall(text) if not word.isdigit()]


def _sentence(reason: str) -> str:
    if len(words_of(reason)) < FEWEST_WORDS:
        raise ValueError("explain in a sentence of at least five words why it is accepted")
    return reason


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

Sentence = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_sentence)]
"""A reason: a sentence of at least five words."""


class Strict(BaseModel):
    """A part of a file of the app: no unknown keys, no conversions."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Waiver(Strict):
    """A fault that is accepted until a date."""

    reason: Sentence
    """Why it is accepted."""
    owner: Text
    """The responsible team."""
    expires: date
    """The last day on which it is valid."""

    def is_expired(self, today: date) -> bool:
        """Return True if the expiry date has passed."""
        return self.expires < today


class WaiverFileError(UsageError):
    """An invalid file. The message is one line with the place of the error."""


def read_toml(model: type[_Model], text: str, place: str) -> _Model:
    """Read a file of the app.

    Args:
        model: Expected content.
        text: The file's content.
        place: Its name, for messages.

    Raises:
        WaiverFileError: It is not valid TOML, or does not match the model.
    """
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WaiverFileError(f"{place} is not valid TOML ({error})") from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        # People count entries from one.
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in detail["loc"])
        raise WaiverFileError(f"{place}: {where}: {_said(detail)}") from None


def read_table(model: type[_Model], text: str, table: str, place: str) -> _Model:
    """Read one table of a file of the app; an absent table counts as empty.

    Args:
        model: Expected content of the table.
        text: The file's content.
        table: Its name.
        place: Name of the file, for messages.

    Raises:
        WaiverFileError: The file is not valid TOML, or the table does not match the model.
    """
    try:
        return model.model_validate(tomllib.loads(text).get(table, {}))
    except tomllib.TOMLDecodeError as error:
        raise WaiverFileError(f"{place} is not valid TOML ({error})") from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(map(str, detail["loc"]))
        raise WaiverFileError(f"{place}: {table}.{where}: {_said(detail)}") from None


def _said(detail: Any) -> str:
    match detail["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known key"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{message} (found {detail['input']!r})"
