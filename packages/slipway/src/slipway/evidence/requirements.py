"""Requirements, row by row in TOML, and the tests that cover them: those with the marker `requirement`.

The app's rows are in `docs/requirements.toml`, a service's in its own folder, so that they are removed with it. `make
docs` writes the page of both (`docs/requirements.md`).
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.evidence.errors import EvidenceError

PAGE = Path("docs", "requirements.md")
ROWS = Path("docs", "requirements.toml")
ONLY_AWS = "What only AWS can show"
"""The section of faults that no synthesis and no emulator shows."""

_OF_SERVICES = "services/*/requirements.toml"
_TESTS = ("tests", "services/*/tests", "packages/*/tests", "packages/slipway/src/slipway/testing/contract")
_MARKER = "pytest.mark.requirement"
# Folder of a test → what it shows.
_KINDS = {
    "infrastructure": "template",
    "rules": "rule",
    "properties": "property",
    "contract": "template",
    "local": "request, on the emulator",
    "smoke": "request, where it is deployed",
}
_HEAD = """# Requirements and the tests that show them

What is required, in short, with the tests that show it: those marked `@pytest.mark.requirement("…")`. *Template* tests
read what `make synth` would deploy; *request* tests call the service that runs on the emulator. Figures are the
defaults of the environment named; each is a key in `config/`.

`make docs` writes this page from [`requirements.toml`](requirements.toml), the services' own, and the markers.
"""


class _Written(BaseModel):
    """A row of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    section: str
    name: str
    text: str = ""
    only_aws: str = ""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    requirement: list[_Written]


@dataclass(frozen=True)
class RequirementRow:
    """One requirement.

    Attributes:
        name: Its name in markers; a service's begins with the service's name and a colon.
        section: Its section's heading.
        text: What is required, in short, as Markdown.
        only_aws: What no test here can show, as Markdown.
        tests: Ids of the tests that show it, in order.
    """

    name: str
    section: str
    text: str
    only_aws: str
    tests: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name within its section."""
        return self.name.rpartition(": ")[2]

    @property
    def anchor(self) -> str:
        """Its name as the id of an element."""
        return re.sub(r"\W+", "-", self.name)

    @property
    def proofs(self) -> dict[str, list[str]]:
        """Its tests, by the kind of proof."""
        found: dict[str, list[str]] = {}
        for test in self.tests:
            found.setdefault(kind_of(test), []).append(test)
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Requirements:
    """All rows.

    Attributes:
        rows: In the order of the page.
        unknown: Test and name of each marker without a row.
    """

    rows: tuple[RequirementRow, ...]
    unknown: tuple[tuple[str, str], ...]

    @property
    def sections(self) -> dict[str, list[RequirementRow]]:
        """The rows by section."""
        found: dict[str, list[RequirementRow]] = {}
        for row in self.rows:
            found.setdefault(row.section, []).append(row)
        return found

    @property
    def tests(self) -> frozenset[str]:
        """Every test that shows one."""
        return frozenset(test for row in self.rows for test in row.tests)


def kind_of(test: str) -> str:
    """Return the kind of a test, by its folder."""
    return next((kind for folder, kind in _KINDS.items() if f"/{folder}/" in test), "unit")


def read_requirements(root: Path) -> Requirements:
    """Read the rows, and find the tests that show them.

    Args:
        root: The repository.

    Raises:
        EvidenceError: A file cannot be read or is invalid.
    """
    written = [(row.name, row) for row in _read(root / ROWS)]
    for file in sorted(root.glob(_OF_SERVICES)):
        written += [(f"{file.parent.name}: {row.name}", row) for row in _read(file)]
    names = [name for name, _ in written]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EvidenceError(f"two requirements are called {', '.join(twice)}; give each its own name")
    shown: dict[str, list[str]] = {name: [] for name in names}
    unknown = []
    for test, name in find_marked(root):
        if name in shown:
            shown[name].append(test)
        elif not _went_with_its_service(root, name):
            unknown.append((test, name))
    order = [*dict.fromkeys(row.section for _, row in written if row.section != ONLY_AWS), ONLY_AWS]
    rows = [RequirementRow(name, row.section, row.text, row.only_aws, tuple(shown[name])) for name, row in written]
    return Requirements(tuple(sorted(rows, key=lambda row: order.index(row.section))), tuple(unknown))


def _went_with_its_service(root: Path, name: str) -> bool:
    """Return True if a row belongs to a removed service: tests of all services may still be marked for it."""
    service, colon, _ = name.partition(": ")
    return bool(colon) and not (root / "services" / service).is_dir()


def find_marked(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each marked test, class or file of tests, with the name of each row that it shows."""
    for pattern in _TESTS:
        for folder in sorted(root.glob(pattern)):
            for file in sorted(folder.rglob("*.py")):
                text = file.read_text(encoding="utf-8")
                if "requirement(" in text:
                    path = file.relative_to(root).as_posix()
                    yield from _marked(path, _parsed(path, text).body)


def problems(requirements: Requirements) -> tuple[str, ...]:
    """Return requirements without a test, and tests marked for an unknown requirement, one line each."""
    unproven = (f"no test shows: {row.name}" for row in requirements.rows if not row.tests)
    strange = (f"{test} is marked for {name!r}, which is not a requirement" for test, name in requirements.unknown)
    return (*unproven, *strange)


def write_page(requirements: Requirements) -> str:
    """Return the page."""
    parts = [_HEAD]
    for section, rows in requirements.sections.items():
        parts.append(f"## {section}\n")
        if section == ONLY_AWS:
            parts.append("Faults that such templates may have at deployment or in use, and what prevents them.\n")
        parts += [_section_row(row) for row in rows]
    return "\n".join(parts)


def _section_row(row: RequirementRow) -> str:
    lines = [f"### {row.title}", *([row.text] if row.text else [])]
    for kind, tests in row.proofs.items():
        lines += [f"- {kind}: {', '.join(f'`{test}`' for test in tests)}"]
    if not row.tests:
        lines.append("- no test")
    if row.only_aws:
        lines.append(f"- only AWS: {row.only_aws}")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> list[_Written]:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).requirement
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise EvidenceError(f"{path} cannot be read ({error})") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise EvidenceError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _parsed(path: str, text: str) -> ast.Module:
    try:
        return ast.parse(text, path)
    except SyntaxError as error:
        raise EvidenceError(f"{path} is not valid Python ({error})") from None


def _marked(node: str, body: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{node}::{statement.name}"
            yield from ((inner, name) for each in statement.decorator_list for name in _names(each))
            if isinstance(statement, ast.ClassDef):
                yield from _marked(inner, statement.body)
        elif isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "pytestmark":
            found = statement.value.elts if isinstance(statement.value, ast.List) else [statement.value]
            yield from ((node, name) for each in found for name in _names(each))


def _names(marker: ast.expr) -> Iterator[str]:
    if isinstance(marker, ast.Call) and ast.unparse(marker.func) == _MARKER:
        yield from (str(argument.value) for argument in marker.args if isinstance(argument, ast.Constant))
