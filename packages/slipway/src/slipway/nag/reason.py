"""The reason of an acknowledgement: what a good one is, and how it is signed and read again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from slipway.waivers import FEWEST_WORDS, words_of

# Words in a row that are no coincidence. A good reason shares single words and pairs with the rule that it answers.
_RUN = 3

_SIGNATURE = re.compile(
    r"^(?P<reason>.+) \[owner: (?P<owner>[^;\[\]]+); expires: (?P<expires>\d{4}-\d{2}-\d{2}); at: (?P<at>[^;\[\]]+)\]$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Signed:
    """A reason with its signature taken apart."""

    reason: str
    owner: str
    expires: date
    at: str
    """Where in the code it is given, such as `slipway.blocks.bucket:71`."""


def sign(reason: str, *, owner: str, expires: date, at: str) -> str:
    """The text that CDK keeps: the reason, then who answers for it, until when, and where it stands."""
    return f"{reason.strip()} [owner: {owner.strip()}; expires: {expires.isoformat()}; at: {at}]"


def read(text: str) -> Signed | None:
    """Take a signed text apart; None when it is not signed, or for no day of the calendar."""
    match = _SIGNATURE.match(text)
    if match is None:
        return None
    try:
        expires = date.fromisoformat(match["expires"])
    except ValueError:
        return None
    return Signed(reason=match["reason"], owner=match["owner"], expires=expires, at=match["at"])


def is_sentence(reason: str, *, rule: str) -> bool:
    """Whether a reason has five words or more besides the rule's id. Numbers are no words."""
    return len(words_of(reason.replace(rule, " "))) >= FEWEST_WORDS


def repeats(reason: str, text: str) -> bool:
    """Whether a reason says nothing beyond the rule's own text.

    Capitals, punctuation and line breaks do not count. Runs of three words or more that are the rule's are taken out;
    what is left must still be a sentence.

    Args:
        reason: the reason.
        text: what the rule says of itself.
    """
    words, theirs = words_of(reason), words_of(text)
    known = {tuple(theirs[start : start + _RUN]) for start in range(len(theirs) - _RUN + 1)}
    borrowed: set[int] = set()
    for start in range(len(words) - _RUN + 1):
        if tuple(words[start : start + _RUN]) in known:
            borrowed.update(range(start, start + _RUN))
    return bool(borrowed) and len(words) - len(borrowed) < FEWEST_WORDS
