"""Answered checklists of AWS: a *yes* names the code and the tests that show it, a *no* gives its reason.

The tool has the questions, and answers those that it settles for every app. The app answers the others, and adds its
own code and tests to the tool's. So do its services, each in its own folder.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from slipway.evidence.errors import EvidenceError, first
from slipway.evidence.sources import Sources
from slipway.project import ROOT

QUESTIONS = Path(__file__).with_name("checklists")
"""The questions, and the tool's answers."""

FOLDER = ROOT / "config" / "checklists"
"""The app's answers."""

FILES = ("deployment-pipeline.toml", "serverless-lens.toml")
"""The checklists, in the order of the page."""

_FEWEST_WORDS = 5
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ChecklistAnswer(StrEnum):
    """Answer to an entry."""

    YES = "yes"
    NO = "no"
    NOT_HERE = "not here"
    """It does not apply to this project."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class CodeReference(_Model):
    """Place in the code that implements an entry."""

    path: _Text
    symbol: _Text
    """In Python a function, a class, a constant or `Class.method`; in other files, text that occurs there."""


class Entry(_Model):
    """One action or practice of a checklist, answered."""

    name: _Text
    """AWS's name for it."""
    weight: _Text
    """AWS's own level, such as required or recommended."""
    answer: ChecklistAnswer = Field(strict=False)
    says: _Text
    """A sentence: how it is done here, or why not."""
    code: tuple[CodeReference, ...] = Field(strict=False, default=())
    tests: tuple[_Text, ...] = Field(strict=False, default=())
    """Ids of the tests that show it."""

    @field_validator("says")
    @classmethod
    def _is_a_sentence(cls, says: str) -> str:
        if len(re.findall(r"[^\W_][\w'-]*", says)) < _FEWEST_WORDS:
            raise ValueError("explain in a sentence how it is done here, or why not")
        return says

    @model_validator(mode="after")
    def _is_shown(self) -> Self:
        if self.answer is ChecklistAnswer.YES and not (self.code and self.tests):
            raise ValueError(f"{self.name}: a yes names the code that does it and the tests that show it")
        if self.answer is not ChecklistAnswer.YES and (self.code or self.tests):
            raise ValueError(f"{self.name}: only a yes names code and tests")
        return self


class ChecklistGroup(_Model):
    """A stage of the pipeline, or a question."""

    name: _Text
    entries: tuple[Entry, ...] = Field(alias="entry", strict=False, min_length=1)

    @model_validator(mode="after")
    def _are_named_once(self) -> Self:
        names = [entry.name for entry in self.entries]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"{self.name}: {twice} appears twice")
        return self


class Checklist(_Model):
    """A checklist."""

    title: _Text
    source: Annotated[str, StringConstraints(pattern=r"^https://\S+$")]
    """Address of AWS's page."""
    note: _Text
    """Its edition, and what is omitted here."""
    groups: tuple[ChecklistGroup, ...] = Field(alias="group", strict=False, min_length=1)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry, in order."""
        return tuple(entry for group in self.groups for entry in group.entries)

    def count(self, answer: ChecklistAnswer) -> int:
        """Return the number of entries with an answer."""
        return sum(entry.answer is answer for entry in self.entries)


class AppAnswer(_Model):
    """The app's answer to an entry, or what it adds to the tool's."""

    answer: ChecklistAnswer | None = Field(strict=False, default=None)
    says: _Text | None = None
    code: tuple[CodeReference, ...] = Field(strict=False, default=())
    tests: tuple[_Text, ...] = Field(strict=False, default=())


_AppAnswers = RootModel[dict[str, dict[str, AppAnswer]]]
"""Group, up to its colon → entry → answer."""


def answers_to(name: str, *, root: Path = ROOT, folder: Path = FOLDER) -> tuple[Path, ...]:
    """Return the files with the answers to a checklist: the app's, then those of the project's services."""
    return (folder / name, *sorted((root / "services").glob(f"*/checklists/{name}")))


def load_checklist(questions: Path, *answers: Path) -> Checklist:
    """Read a checklist.

    Args:
        questions: A TOML file with the groups and their entries, some of them answered.
        answers: TOML files with the app's and its services' answers: `["Group"."Entry"]`. Default: none.

    Raises:
        EvidenceError: A file is missing or invalid, or an entry isn't answered.
    """
    content = _read(questions)
    for file in answers:
        try:
            given = _AppAnswers.model_validate(_read(file)).root
        except ValidationError as error:
            raise EvidenceError(f"{file}: {first(error)}") from None
        for name in sorted(_answer(content, given)):
            raise EvidenceError(f"{file}: {name} is not an entry of the checklist")
    at = answers[0] if answers else questions
    for group in content.get("group", []) if answers else ():
        for entry in group.get("entry", []):
            if "answer" not in entry:
                where = f"{group['name'].partition(':')[0]}: {entry.get('name')}"
                raise EvidenceError(f"{at}: {where} has no answer; add one")
    try:
        return Checklist.model_validate(content)
    except ValidationError as error:
        raise EvidenceError(f"{at}: {first(error)}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path} is not valid TOML ({error})") from None


def _answer(content: Mapping[str, Any], given: Mapping[str, Mapping[str, AppAnswer]]) -> set[str]:
    """Add the app's answers to a checklist's content; return the names of answers that match no entry."""
    left = {f"{group}: {name}" for group, answers in given.items() for name in answers}
    for group in content.get("group", []):
        short = group["name"].partition(":")[0]
        for entry in group.get("entry", []):
            if own := given.get(short, {}).get(entry["name"]):
                left.remove(f"{short}: {entry['name']}")
                entry.update(own.model_dump(include={"answer", "says"}, exclude_none=True))
                for key in ("code", "tests"):
                    entry[key] = [*entry.get(key, ()), *own.model_dump()[key]]
    return left


def problems(checklist: Checklist, sources: Sources) -> tuple[str, ...]:
    """Return the claims that do not hold, one line each.

    Args:
        checklist: The answers.
        sources: The code and the tests.
    """
    return tuple(problem for entry in checklist.entries for problem in _of_entry(entry, sources))


def _of_entry(entry: Entry, sources: Sources) -> Iterator[str]:
    code = [each for each in entry.code if not sources.is_elsewhere(each.path)]
    tests = [each for each in entry.tests if not sources.is_elsewhere(each)]
    for each in code:
        if not sources.has_file(each.path):
            yield f"{entry.name}: {each.path} does not exist"
        elif sources.line_of(each.path, each.symbol) is None:
            yield f"{entry.name}: {each.path} has no {each.symbol}"
    for test in tests:
        if "::" not in test:
            yield f"{entry.name}: {test} names no test, only a file"
        elif why := sources.missing_test(test):
            yield f"{entry.name}: {why}"
