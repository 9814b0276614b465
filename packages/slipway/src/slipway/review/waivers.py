"""Waivers: findings that are meant to happen, each with reason, owner and date, in the change that needs them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from slipway.review.errors import ReviewError
from slipway.review.findings import Finding

WAIVERS_FILE = "config/waivers.toml"
"""Where the waivers are, from the root of the repository."""

_FEWEST_WORDS = 5


class Waiver(BaseModel):
    """One waiver, for one finding or for the same one in several stages."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    findings: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z-]+:\S")], ...] = Field(strict=False, min_length=1)
    """Ids of the findings."""
    reason: str
    """Why it is meant to happen: a sentence."""
    owner: Annotated[str, StringConstraints(pattern=r"\S")]
    """The team that answers for it."""
    expires: date
    """The last day on which it holds."""

    @field_validator("reason")
    @classmethod
    def _is_a_sentence(cls, reason: str) -> str:
        words = [word for word in re.findall(r"[^\W_][\w'-]*", reason) if not word.isdigit()]
        if len(words) < _FEWEST_WORDS:
            raise ValueError("say in a sentence why it is meant to happen")
        return reason


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    waiver: tuple[Waiver, ...] = Field(strict=False, default=())


def read_waivers(text: str, place: str = WAIVERS_FILE) -> tuple[Waiver, ...]:
    """The waivers of a file.

    Args:
        text: what is in it.
        place: its name, for messages.

    Raises:
        ReviewError: it is no TOML, or a waiver lacks something.
    """
    try:
        return _File.model_validate(tomllib.loads(text)).waiver
    except tomllib.TOMLDecodeError as error:
        raise ReviewError(f"{place} is not TOML ({error})") from None
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in detail["loc"])
        raise ReviewError(f"{place}: {where}: {_message(detail['type'], detail['msg'])}") from None


def _message(kind: str, message: str) -> str:
    match kind:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a known key; there are findings, reason, owner, expires"
        case "string_pattern_mismatch":
            return "names no finding: the review prints their ids"
    return message.removeprefix("Value error, ")


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What waivers make of findings.

    Args:
        stopping: critical findings that nobody waived.
        waived: findings that are meant to happen, each with its waiver.
        problems: what is wrong with the waivers.
        spent: ids that waivers name which the base holds already: they were for a change that is delivered.
    """

    stopping: tuple[Finding, ...]
    waived: tuple[tuple[Finding, Waiver], ...]
    problems: tuple[str, ...]
    spent: tuple[str, ...]

    @property
    def red(self) -> bool:
        """Whether the change must not go on."""
        return bool(self.stopping or self.problems)


def judge(
    findings: Sequence[Finding],
    waivers: Sequence[Waiver],
    *,
    known: Sequence[Waiver] = (),
    today: date,
    file: str = WAIVERS_FILE,
) -> Judgement:
    """Say which critical findings stop a change.

    A waiver excuses only what the change that brings it does. One that the base has already is spent: it excuses
    nothing, and neither does it fail before its date, because the change before may wait for its approval while this
    one is built against the same base.

    Args:
        findings: what the change does.
        waivers: those of the change.
        known: those that the base has.
        today: the day by which they are judged expired.
        file: name of the file, for messages.
    """
    by_id = {finding.id: finding for finding in findings}
    waived: dict[str, tuple[Finding, Waiver]] = {}
    problems: list[str] = []
    spent: list[str] = []
    named: set[str] = set()
    for waiver in waivers:
        for identifier in waiver.findings:
            if waiver.expires < today:
                owner = f"owner: {waiver.owner}"
                problems.append(f"the waiver of {identifier} expired on {waiver.expires} ({owner})")
            elif waiver in known:
                spent.append(identifier)
            elif identifier in named:
                problems.append(f"{identifier} is waived twice")
            elif identifier not in by_id:
                problems.append(f"a waiver names {identifier}, and the change does no such thing: delete the waiver")
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
