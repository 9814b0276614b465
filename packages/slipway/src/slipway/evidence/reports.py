"""Other gates' reports in `build/report`: the parts of the change review and the supply chain that the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.evidence.errors import first

REVIEW_FILE = "review.json"
SUPPLY_FILE = "supply.json"


class _Model(BaseModel):
    # The reports may contain more than the page shows.
    model_config = ConfigDict(frozen=True)


class ReportedWaiver(_Model):
    """Why a finding of the review may happen."""

    reason: str
    owner: str
    expires: date


class ReviewFinding(_Model):
    """An effect of a change on data, permissions or protection."""

    id: str
    severity: str
    stage: str
    stack: str
    resource: str
    what: str
    details: tuple[str, ...] = ()
    why: str
    do: str
    waiver: ReportedWaiver | None = None


class ReportedChange(_Model):
    """The planned change to one resource."""

    fate: str
    resource: str
    type: str
    properties: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


class ReportedStackChanges(_Model):
    """The planned changes to one stack."""

    name: str
    account: str
    region: str
    fate: str | None
    changes: tuple[ReportedChange, ...]


class ReportedStageChanges(_Model):
    """The planned changes to one stage."""

    name: str
    stacks: tuple[ReportedStackChanges, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of resources by kind of change."""
        fates = [change.fate for stack in self.stacks for change in stack.changes]
        return {fate: fates.count(fate) for fate in dict.fromkeys(fates)}


class Review(_Model):
    """`review.json`."""

    format: Literal[1]
    verdict: Literal["green", "red", "not made"]
    state: str
    base: str
    head: str
    summary: str
    paragraph: str
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    findings: tuple[ReviewFinding, ...]
    spent_waivers: tuple[str, ...]
    stages: tuple[ReportedStageChanges, ...]


class SupplyFinding(_Model):
    """A finding that must not ship."""

    place: str
    rule: str
    message: str


class ReportedAcceptance(_Model):
    """An accepted finding."""

    place: str
    rule: str
    reason: str
    owner: str
    expires: date | None


class ReportedStep(_Model):
    """Result of one scanner."""

    name: str
    state: Literal["passed", "failed", "not done"]
    summary: str
    findings: tuple[SupplyFinding, ...]
    accepted: tuple[ReportedAcceptance, ...]
    notes: tuple[str, ...]
    scanned: tuple[str, ...]


class ReportedZip(_Model):
    """A built archive."""

    name: str
    sha256: str
    bytes: int
    ships: bool


class Supply(_Model):
    """`supply.json`."""

    verdict: Literal["green", "red"]
    not_done: tuple[str, ...]
    zips: tuple[ReportedZip, ...]
    steps: Annotated[tuple[ReportedStep, ...], Field(min_length=1)]


class Read(StrEnum):
    """Usability of a report."""

    WHOLE = "read"
    NOT_RUN = "not run"
    OUTDATED = "older than the assembly"
    DAMAGED = "damaged"


_Content = TypeVar("_Content", bound=BaseModel)


@dataclass(frozen=True)
class GateReport(Generic[_Content]):
    """Another gate's report, or why it is missing."""

    read: Read
    content: _Content | None = None
    """Content of the report, even if it is outdated."""
    message: str = ""
    """The error in it, in one line that names the file."""


def load_report(path: Path, model: type[_Content], *, verb: str, since: float) -> GateReport[_Content]:
    """Read a report.

    Args:
        path: A JSON file.
        model: Model of its content.
        verb: The verb that writes it, for the message.
        since: Unix time at which the assembly was written; an older report belongs to another assembly.
    """
    try:
        content = model.model_validate_json(path.read_bytes())
        written = path.stat().st_mtime
    except FileNotFoundError:
        return GateReport(Read.NOT_RUN, message=f"{path.name} is missing: run `{verb}`")
    except OSError as error:
        return GateReport(Read.DAMAGED, message=f"{path.name} cannot be read ({error.strerror})")
    except ValidationError as error:
        return GateReport(Read.DAMAGED, message=f"{path.name} is damaged ({first(error)})")
    if written < since:
        return GateReport(Read.OUTDATED, content, f"{path.name} is older than the assembly: run `{verb}` again")
    return GateReport(Read.WHOLE, content)
