"""Result of a step of the gates, whatever it checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Self

# CodeBuild sets the first in every build (https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html);
# a rehearsal of the pipeline sets both.
_BUILD = "CODEBUILD_BUILD_ID"
_REHEARSAL = "SLIPWAY_REHEARSAL"


class StepState(StrEnum):
    """How a step ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_DONE = "not done"
    """It could not run, because a service that it needs cannot be reached."""


@dataclass(frozen=True, order=True)
class Finding:
    """A finding that stops the change."""

    place: str
    """File and line, or package."""
    rule: str
    message: str


@dataclass(frozen=True, order=True)
class Accepted:
    """An accepted finding, with its recorded reason."""

    place: str
    rule: str
    reason: str
    owner: str = ""
    expires: date | None = None


@dataclass(frozen=True)
class Outcome:
    """The end of a step."""

    state: StepState
    summary: str
    """What was checked, or why not, in one line."""
    findings: tuple[Finding, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    notes: tuple[str, ...] = ()
    """Limits of the result, one line each."""
    scanned: tuple[str, ...] = ()
    """The checked package URLs or files."""

    @classmethod
    def of(
        cls,
        findings: Iterable[Finding],
        summary: str,
        *,
        accepted: Iterable[Accepted] = (),
        notes: Iterable[str] = (),
        scanned: Iterable[str] = (),
    ) -> Self:
        """Return the result of a step that ran: failed if it found something, otherwise passed."""
        found = tuple(sorted(set(findings)))
        return cls(
            state=StepState.FAILED if found else StepState.PASSED,
            summary=summary,
            findings=found,
            accepted=tuple(sorted(set(accepted), key=lambda one: (one.place, one.rule, one.reason))),
            notes=tuple(notes),
            scanned=tuple(sorted(set(scanned))),
        )

    @classmethod
    def not_done(cls, why: str, *, scanned: Iterable[str] = ()) -> Self:
        """Return the result of a step that could not run, with what it would have checked."""
        return cls(state=StepState.NOT_DONE, summary=f"not done: {why}", scanned=tuple(sorted(set(scanned))))

    def stops(self, *, strict: bool) -> bool:
        """Return True if the change must stop.

        Args:
            strict: True if a step that could not run stops it too.
        """
        return self.state is StepState.FAILED or (strict and self.state is StepState.NOT_DONE)

    def plain(self) -> dict[str, Any]:
        """Return the result as JSON-compatible data."""
        return {
            "state": self.state.value,
            "summary": self.summary,
            "findings": [{"place": one.place, "rule": one.rule, "message": one.message} for one in self.findings],
            "accepted": [
                {
                    "place": one.place,
                    "rule": one.rule,
                    "reason": one.reason,
                    "owner": one.owner,
                    "expires": one.expires.isoformat() if one.expires else None,
                }
                for one in self.accepted
            ],
            "notes": list(self.notes),
            "scanned": list(self.scanned),
        }


def in_pipeline(environ: Mapping[str, str]) -> bool:
    """Return True in a build of the pipeline, where no step may be omitted; False in a rehearsal of it.

    Args:
        environ: The environment variables.
    """
    return bool(environ.get(_BUILD)) and not environ.get(_REHEARSAL)
