"""Lint an existing assembly: `slipway lint [cdk.out]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import process
from slipway.assembly.reader import template_files
from slipway.nag.terminal import terminal
from slipway.project import ROOT

Assembly = Annotated[Path, typer.Argument(help="Folder of the assembly; `make synth` writes it.")]


def lint(assembly: Path, console: Console) -> int:
    """Run cfn-lint on every template of an assembly, with `.cfnlintrc.yaml`.

    Exit code: 0 if every template passes, 1 if one doesn't or if there are no templates.
    """
    templates = template_files(assembly)
    if not templates:
        console.print(f"{assembly}: no templates; run `make synth`", soft_wrap=True)
        return 1
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--config-file",
        str(ROOT / ".cfnlintrc.yaml"),
        "--format",
        "parseable",
    ]
    done = process.run([*command, "--", *templates], capture=False)
    console.print(
        f"cfn-lint: {len(templates)} templates {'pass' if done.returncode == 0 else 'do not pass'}", soft_wrap=True
    )
    return int(done.returncode != 0)


def lint_assembly(assembly: Assembly = Path("cdk.out")) -> None:
    """Run cfn-lint on every template of an assembly, with the project's `.cfnlintrc.yaml`."""
    raise typer.Exit(lint(assembly, terminal()))
