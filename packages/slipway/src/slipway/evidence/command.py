"""Write one page with the evidence for and against a change: `slipway evidence`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from slipway import git
from slipway import settings as config
from slipway.evidence.checklist import FOLDER, QUESTIONS
from slipway.evidence.collect import collect
from slipway.evidence.page import write_page
from slipway.evidence.verdict import PartState
from slipway.gates.packs import packs_of, unit_of
from slipway.git import GitError
from slipway.nag.terminal import terminal
from slipway.process import ProcessError
from slipway.project import ROOT

REPORT = ROOT / "build" / "report"
_COLOURS = {PartState.GREEN: "green", PartState.INCOMPLETE: "yellow", PartState.RED: "red"}


def write_evidence(
    assembly: Annotated[Path, typer.Argument(help="Folder of the assembly that `make synth` writes.")] = ROOT
    / "cdk.out",
    *,
    report: Annotated[
        Path, typer.Option("--report", show_default="build/report", help="Folder of the gates' reports.")
    ] = REPORT,
    output: Annotated[
        Path | None,
        typer.Option("--html", show_default="index.html in the folder of --report", help="File of the page."),
    ] = None,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Exit with 0 even if a gate was not run.")
    ] = False,
) -> None:
    """Write the evidence of a change: nag gate, change review, supply chain, pipeline, requirements, checklists.

    No gate is run: a gate that has not run, or ran on another assembly, leaves the page incomplete.

    Exit code: 0 if everything is present and green, 1 if something is red or incomplete, 2 for wrong input.
    """
    console = terminal()
    page = output or report / "index.html"
    now = datetime.now(UTC)
    # The page of an earlier run belongs to another change.
    page.unlink(missing_ok=True)
    settings = config.load()
    evidence = collect(
        ROOT,
        assembly,
        packs_of(settings),
        report=report,
        today=now.date(),
        questions=QUESTIONS,
        checklists=FOLDER,
        unit_of=unit_of(settings),
    )
    write_page(evidence, page, commit=_commit(), now=now)
    for part in evidence.parts:
        console.print(f"[{_COLOURS[part.state]}]{part.state}[/]", end=" ")
        console.print(f"{part.title}: {part.summary}", markup=False, soft_wrap=True)
        for problem in part.problems:
            console.print(f"  {problem}", markup=False, soft_wrap=True)
    console.print(evidence.headline, style=_COLOURS[evidence.state], markup=False, soft_wrap=True)
    console.print(f"page: {page}", markup=False, soft_wrap=True)
    passes = {PartState.GREEN, *([PartState.INCOMPLETE] if allow_incomplete else [])}
    raise typer.Exit(int(evidence.state not in passes))


def _commit() -> str:
    """Return the working tree's commit, and whether it has other changes; without Git, CodeBuild's information."""
    try:
        changed = git.output(ROOT, "status", "--porcelain")
        said = git.output(ROOT, "log", "-1", "--abbrev=12", "--format=%h %s")
    except (GitError, ProcessError):
        return os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "unknown: not a Git repository")
    return f"{said}, with uncommitted changes" if changed else said
