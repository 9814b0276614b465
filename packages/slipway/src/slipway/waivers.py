"""The one form in which a fault is accepted: a reason, an owner who answers for it, and a last day.

Waivers of the change review and accepted advisories of the supply chain are rows of this form, in TOML files of the
app. Acknowledgements of the nag gate say the same, but at the construct that they are about (`slipway.nag.reason`).
"""

from __future__ import annotations

import re
import tomllib
from datetime import date
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from slipway.errors import UsageError

FEWEST_WORDS: Final = 5
"""A sentence has a subject, a verb and something to say: shorter ones that do are rare, and can be said in five."""

_WORD = re.compile(r"[^\W_][\w'-]*")

_Model = TypeVar("_Model", bound=BaseModel)


def words_of(text: str) -> list[str]:
    """Return the words of a text in small letters; numbers are none."""
    return [word.casefold() for word in _WORD.findall(text) if not word.isdigit()]


def _sentence(reason: str) -> str:
    if len(words_of(reason)) < FEWEST_WORDS:
        raise ValueError("say in a sentence why it is accepted")
    return reason


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]

Sentence = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_sentence)]
"""A reason: a sentence of five words or more."""


class Strict(BaseModel):
    """A part of a file of the app: nothing unknown, nothing converted."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Waiver(Strict):
    """A fault that is accepted until a day."""

    reason: Sentence
    """Why it is accepted."""
    owner: Text
    """The team that answers for it."""
    expires: date
    """The last day on which it holds."""

    def is_expired(self, today: date) -> bool:
        """Return whether its last day has passed."""
        return self.expires < today


class WaiverFileError(UsageError):
    """A file that cannot be read as it has to be; the message is one line, with its place."""


def read_toml(model: type[_Model], text: str, place: str) -> _Model:
    """Read a file of the app.

    Args:
        model: what it has to hold.
        text: what is in it.
        place: its name, for messages.

    Raises:
        WaiverFileError: it is not TOML, or not what the model allows.
    """
    try:
        return model.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WaiverFileError(f"{place} is not TOML ({error})") from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        # People count rows from one.
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in detail["loc"])
        raise WaiverFileError(f"{place}: {where}: {_said(detail)}") from None


def read_table(model: type[_Model], text: str, table: str, place: str) -> _Model:
    """Read one table of a file of the app; an absent table is an empty one.

    Args:
        model: what the table has to hold.
        text: what is in the file.
        table: its name.
        place: name of the file, for messages.

    Raises:
        WaiverFileError: the file is not TOML, or the table is not what the model allows.
    """
    try:
        return model.model_validate(tomllib.loads(text).get(table, {}))
    except tomllib.TOMLDecodeError as error:
        raise WaiverFileError(f"{place} is not TOML ({error})") from None
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
