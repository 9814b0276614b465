"""Check, sign and parse the reason of an acknowledgement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from slipway.waivers import FEWEST_WORDS, words_of

# Longest run of words that counts as coincidence. A good reason shares single words and pairs with its rule.
_RUN = 3

_SIGNATURE = re.compile(
    r"^(?P<reason>.+) \[owner: (?P<owner>[^;\[\]]+); expires: (?P<expires>\d{4}-\d{2}-\d{2}); at: (?P<at>[^;\[\]]+)\]$",
    re.DOTALL,
)


@dataclass(frozen=True)
class Signed:
    """A reason with its parsed signature."""

    reason: str
    owner: str
    expires: date
    at: str
    """Position in the code, such as `slipway.blocks.bucket:71`."""


def sign(reason: str, *, owner: str, expires: date, at: str) -> str:
    """Return the text that CDK stores: the reason, owner, expiry and position."""
    return f"{reason.strip()} [owner: {owner.strip()}; expires: {expires.isoformat()}; at: {at}]"


def read(text: str) -> Signed | None:
    """Parse a signed text; None if it isn't signed or its date is invalid."""
    match = _SIGNATURE.match(text)
    if match is None:
        return None
    try:
        expires = date.fromisoformat(match["expires"])
    except ValueError:
        return None
    return Signed(reason=match["reason"], owner=match["owner"], expires=expires, at=match["at"])


def is_sentence(reason: str, *, rule: str) -> bool:
    """Return True if a reason has at least five words besides the rule's id; numbers don't count."""
    return len(words_of(reason.replace(rule, " "))) >= FEWEST_WORDS


def repeats(reason: str, text: str) -> bool:
    """Return True if a reason adds nothing to the rule's own text.

    Case, punctuation and line breaks are ignored. Runs of at least three words from the rule are removed; the rest must
    still be a sentence.

    Args:
        reason: The reason.
        text: The rule's own text.
    """
    words, theirs = words_of(reason), words_of(text)
    known = {tuple(theirs[start : start + _RUN]) for start in range(len(theirs) - _RUN + 1)}
    borrowed: set[int] = set()
    for start in range(len(words) - _RUN + 1):
        if tuple(words[start : start + _RUN]) in known:
            borrowed.update(range(start, start + _RUN))
    return bool(borrowed) and len(words) - len(borrowed) < FEWEST_WORDS
