"""Diagnose what prevents a delivery from this checkout: `slipway doctor`."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import ProfileNotFound
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.accounts.doctor.account import check_accounts, open_session
from slipway.accounts.doctor.findings import CheckResult, CheckStatus
from slipway.accounts.doctor.machine import (
    check_assets,
    check_configuration,
    check_git,
    check_locks,
    check_versions,
)
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.project import ROOT
from slipway.settings.load import CONFIG_FOLDER

_COLOURS = {
    CheckStatus.OK: "green",
    CheckStatus.WARNING: "yellow",
    CheckStatus.WRONG: "red",
    CheckStatus.UNCHECKED: "cyan",
}


def examine(configuration: Path, assembly: Path, profiles: list[str]) -> list[CheckResult]:
    """Run every check.

    Args:
        configuration: Folder of the configuration.
        assembly: The last assembly; it may be missing.
        profiles: AWS profiles, one per account to check. Empty: the default credential chain.
    """
    found, settings = check_configuration(configuration)
    found += check_versions()
    found += check_locks()
    found.append(check_assets())
    found += check_git(settings)
    if settings is None:
        return [
            *found,
            CheckResult("accounts", "everything", CheckStatus.UNCHECKED, "the configuration cannot be used", ""),
        ]
    sessions: list[boto3.Session] = []
    wanted: list[str | None] = [*profiles] or [None]
    for profile in wanted:
        try:
            sessions.append(open_session(profile))
        except ProfileNotFound as error:
            found.append(
                CheckResult("accounts", str(profile), CheckStatus.WRONG, str(error), "aws configure list-profiles")
            )
    return [*found, *check_accounts(settings, sessions, assembly)]


def table(findings: list[CheckResult]) -> Table:
    """Return the findings as a table."""
    lines = Table(box=None, pad_edge=False, show_header=True, header_style="bold")
    for name in ("area", "check", "", "found", "fix"):
        lines.add_column(name, overflow="fold")
    for finding in findings:
        colour = _COLOURS[finding.status]
        lines.add_row(
            escape(finding.area),
            escape(finding.check),
            f"[{colour}]{finding.status}[/{colour}]",
            escape(finding.found),
            escape(finding.fix),
        )
    return lines


def doctor(
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", help="AWS profile; repeat it for each account. Default: the usual credentials."),
    ] = None,
    json_file: JsonOption = None,
    configuration: Annotated[
        Path, typer.Option("--config", help="Folder of the configuration.", exists=True, file_okay=False)
    ] = CONFIG_FOLDER,
    assembly: Annotated[Path, typer.Option("--assembly", help="Folder of the last assembly.")] = ROOT / "cdk.out",
) -> None:
    """Print what prevents a delivery from this checkout, each finding with its fix.

    Without credentials the accounts are reported as not checked.

    Exit code: 0 without faults, 1 with faults.
    """
    findings = examine(configuration, assembly, profile or [])
    if json_file is not None:
        output.write([asdict(finding) for finding in findings], json_file)
    if not output.prints(json_file):
        # A log or a pipe has no width, but people read it too.
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
        console.print(table(findings))
        counts = Counter(finding.status for finding in findings)
        console.print(f"\n{', '.join(f'{counts[status]} {status}' for status in CheckStatus)}")
    raise typer.Exit(1 if any(finding.status is CheckStatus.WRONG for finding in findings) else 0)
