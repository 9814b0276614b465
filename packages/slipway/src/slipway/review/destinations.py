"""Classify destinations: our own accounts, other accounts, and hosts that anybody may own."""

from __future__ import annotations

import re
from typing import Final

from slipway.review.assembly import Json
from slipway.review.findings import Severity
from slipway.review.matching import Matching
from slipway.review.resources import Difference, leaves
from slipway.review.values import references

# The account in an ARN, or in the address of a queue.
_ACCOUNT: Final = re.compile(r"arn:[\w-]+:[\w-]+:[\w-]*:(\d{12}):|//sqs\.[\w.-]+/(\d{12})/")
_HOST: Final = re.compile(r"(?:\w+://)?(?:[a-z0-9_-]+\.)+[a-z]{2,}(?::\d+)?(?:/.*)?|[^@\s]+@[^@\s]+", re.IGNORECASE)


class Destinations:
    """Knows the target accounts of the delivery.

    Args:
        matching: The matched resources of both assemblies.
    """

    def __init__(self, matching: Matching) -> None:
        self._known = matching.before.assembly.accounts | matching.after.assembly.accounts

    def strangers(self, text: str) -> set[str]:
        """Return the accounts in a text that are not targets of the delivery."""
        return {account for match in _ACCOUNT.findall(text) for account in match if account} - self._known

    def grade(self, old: Json, new: Json) -> Severity:
        """Return the severity of a changed destination.

        Args:
            old: The old destination, or None.
            new: The new destination.
        """
        texts = [str(leaf.after) for leaf in leaves(Difference((), None, new))]
        if any(map(self.strangers, texts)):
            return Severity.CRITICAL
        if any(_ACCOUNT.search(text) or any(references(text)) for text in texts):
            return Severity.MEDIUM
        if any(_HOST.fullmatch(text) for text in texts):
            # A new endpoint replaces no recipient; a changed one takes messages away from its former recipient.
            return Severity.HIGH if old is None else Severity.CRITICAL
        return Severity.MEDIUM
