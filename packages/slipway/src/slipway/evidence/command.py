"""`slipway evidence`: one page with everything that speaks for a change, or against it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from slipway import git
from slipway import settings as config
from slipway.evidence.checklist import FOLDER
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
    assembly: Annotated[Path, typer.Argument(help="The assembly that `make synth` writes.")] = ROOT / "cdk.out",
    *,
    report: Annotated[
        Path, typer.Option("--report", show_default="build/report", help="The folder that the gates write into.")
    ] = REPORT,
    output: Annotated[
        Path | None, typer.Option("--html", show_default="index.html in it", help="Where the page is written.")
    ] = None,
    allow_incomplete: Annotated[
        bool, typer.Option("--allow-incomplete", help="Exit with 0 also where something was not run.")
    ] = False,
) -> None:
    """Write the evidence of a change: nag gate, change review, supply chain, pipeline, requirements, checklists.

    No gate is run: a gate that has not run, or ran on another assembly, leaves the page incomplete.

    Exit code: 0 when everything is present and green, 1 when something is red or incomplete, 2 for wrong input.
    """
    console = terminal()
    page = output or report / "index.html"
    now = datetime.now(UTC)
    # That of an earlier run speaks for another change.
    page.unlink(missing_ok=True)
    settings = config.load()
    evidence = collect(
        ROOT,
        assembly,
        packs_of(settings),
        report=report,
        today=now.date(),
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
        return os.environ.get("CODEBUILD_RESOLVED_SOURCE_VERSION", "not known: no Git repository")
    return f"{said}, and changes that are not committed" if changed else said
