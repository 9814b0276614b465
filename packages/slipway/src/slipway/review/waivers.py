"""Waivers: intended findings, each with reason, owner and date, in the change that causes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

from slipway import waivers
from slipway.review.errors import ReviewError
from slipway.review.findings import ChangeFinding

WAIVERS_FILE = "config/waivers.toml"
"""Path of the waivers, relative to the repository's root."""


def _named(identifier: str) -> str:
    if not re.match(r"[a-z-]+:\S", identifier):
        raise ValueError("names no finding; use an id that the review prints")
    return identifier


class ReviewWaiver(waivers.Waiver):
    """One waiver, for one finding or for the same one in several stages."""

    findings: tuple[Annotated[str, AfterValidator(_named)], ...] = Field(strict=False, min_length=1)
    """Ids of the findings, as the review prints them."""


class _File(waivers.Strict):
    waiver: tuple[ReviewWaiver, ...] = Field(strict=False, default=())


def read_waivers(text: str, place: str = WAIVERS_FILE) -> tuple[ReviewWaiver, ...]:
    """Return the waivers of a file.

    Args:
        text: Content of the file.
        place: Name of the file, for messages.

    Raises:
        ReviewError: It is not TOML, or a waiver is incomplete.
    """
    try:
        return waivers.read_toml(_File, text, place).waiver
    except waivers.WaiverFileError as error:
        raise ReviewError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Effect of waivers on findings.

    Args:
        stopping: Critical findings that nobody waived.
        waived: Intended findings, each with its waiver.
        problems: Errors in the waivers.
        spent: Ids in waivers that the base already has: they were for an earlier change.
    """

    stopping: tuple[ChangeFinding, ...]
    waived: tuple[tuple[ChangeFinding, ReviewWaiver], ...]
    problems: tuple[str, ...]
    spent: tuple[str, ...]

    @property
    def red(self) -> bool:
        """Return True if the change must stop."""
        return bool(self.stopping or self.problems)


def judge(
    findings: Sequence[ChangeFinding],
    given: Sequence[ReviewWaiver],
    *,
    known: Sequence[ReviewWaiver] = (),
    today: date,
    file: str = WAIVERS_FILE,
) -> Judgement:
    """Decide which critical findings stop a change.

    A waiver only applies to the change that adds it. One that the base already has is spent: it has no effect, but is
    not an error before its expiry either, because the earlier change may still wait for its approval while this one is
    built against the same base.

    Args:
        findings: Findings of the change.
        given: Waivers of the change.
        known: Waivers of the base.
        today: Waivers that end before this day are expired.
        file: Name of the file, for messages.
    """
    by_id = {finding.id: finding for finding in findings}
    waived: dict[str, tuple[ChangeFinding, ReviewWaiver]] = {}
    problems: list[str] = []
    spent: list[str] = []
    named: set[str] = set()
    for waiver in given:
        for identifier in waiver.findings:
            if waiver.is_expired(today):
                owner = f"owner: {waiver.owner}"
                problems.append(f"the waiver of {identifier} expired on {waiver.expires} ({owner})")
            elif waiver in known:
                spent.append(identifier)
            elif identifier in named:
                problems.append(f"{identifier} is waived twice")
            elif identifier not in by_id:
                problems.append(f"a waiver names {identifier}, which the change does not contain; delete the waiver")
            else:
                waived[identifier] = by_id[identifier], waiver
            named.add(identifier)
    stopping = [finding for finding in findings if finding.severity == "critical" and finding.id not in waived]
    return Judgement(
        stopping=tuple(stopping),
        waived=tuple(waived.values()),
        problems=tuple(f"{file}: {problem}" for problem in problems),
        spent=tuple(spent),
    )
