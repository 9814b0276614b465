"""Write the pages derived from the code and the configuration: `slipway docs [--check]`.

No test compares them, so that a figure in `config/` can change without a document; `make docs` updates them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import cost, files, project, reference
from slipway import settings as config
from slipway.detectability import Survey
from slipway.detectability import report as detectability
from slipway.detectability.picture import draw
from slipway.detectability.run import PAGE, PICTURE, examine
from slipway.drawing.dashboards import SERVICES, draw_all
from slipway.emulator.environment import FOUNDATION
from slipway.emulator.stages import staged
from slipway.errors import SlipwayError
from slipway.evidence import requirements
from slipway.rehearsal.faults import find_target, list_faults
from slipway.rehearsal.report import faults_markdown, substitutions_markdown
from slipway.rules import page as rules
from slipway.settings import Settings

DOCS = project.ROOT / "docs"

Documents = dict[Path, str]
"""Each file with the text that it should have."""


class DocumentError(SlipwayError):
    """A document lacks the markers between which its part is written."""

    exit_code = 2


def between(text: str, marker: str, content: str, *, name: str) -> str:
    """Return a document with the text between two markers replaced.

    Args:
        text: The document.
        marker: The markers are `<!-- marker -->` and `<!-- /marker -->`.
        content: The new text.
        name: The document's name, for messages.

    Raises:
        DocumentError: A marker is missing.
    """
    begin, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    before, first, rest = text.partition(begin)
    _, second, after = rest.partition(end)
    if not first or not second:
        raise DocumentError(f"{name}: marker {begin} or {end} is missing; add both around the derived part")
    inner = content.strip().removeprefix(begin).removesuffix(end).strip("\n")
    return f"{before}{begin}\n{inner}\n{end}{after}"


def render(settings: Settings, assembly: Path) -> Documents:
    """Render every derived document.

    Args:
        settings: The configuration, for the traffic.
        assembly: The assembly that `make synth` wrote.

    Raises:
        CostError: A deployed resource cannot be priced.
        DocumentError: A document lacks its markers.
        EvidenceError: A requirement cannot be read.
        RehearsalError: The assembly lacks a stage.
    """
    found = dict(_pictures(settings, assembly))
    findings = examine(settings, survey := Survey(), assembly=assembly)
    found[PICTURE] = draw(findings)
    found[rules.PAGE] = rules.page()
    found |= reference.pages()
    estimate = cost.estimate(cost.read_assembly(assembly), cost.load_prices())
    for path, marker, content in (
        (PAGE, "detectability", detectability.markdown(findings, survey)),
        (DOCS / "cost.md", "cost", cost.markdown(estimate)),
        (DOCS / "substitutions.md", "substitutions", substitutions_markdown()),
        (DOCS / "rehearsal.md", "faults", faults_markdown(list_faults(find_target(settings)))),
    ):
        found[path] = between(path.read_text(encoding="utf-8"), marker, content, name=path.name)
    found[project.ROOT / requirements.PAGE] = requirements.write_page(requirements.read_requirements(project.ROOT))
    return found


def _pictures(settings: Settings, assembly: Path) -> Iterator[tuple[Path, str]]:
    """Draw the dashboards of the last environment."""
    environment = settings.environments[-1].name
    services = [name for name in staged(assembly, environment) if name != FOUNDATION]
    with tempfile.TemporaryDirectory() as folder:
        for picture in draw_all(assembly, environment, services, Path(folder)):
            yield SERVICES / picture.relative_to(folder), picture.read_text(encoding="utf-8")


def stale(documents: Documents) -> list[Path]:
    """Return the files that are missing or whose text differs."""
    return [path for path, text in documents.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]


def write_documents(
    *,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a document is out of date.")] = False,
) -> None:
    """Write the documents derived from the code and the configuration.

    Exit code: 1 if --check finds a document that is out of date, 2 if they cannot be rendered.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    documents = render(config.load(), project.ASSEMBLY)
    changed = stale(documents)
    for path in changed:
        if not check:
            files.write_text(path, documents[path])
        console.print(f"{path.relative_to(project.ROOT)} {'is out of date' if check else 'is written'}", markup=False)
    if changed and check:
        console.print("run `make docs`", markup=False)
        raise typer.Exit(1)
