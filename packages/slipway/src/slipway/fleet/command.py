"""Show every service in every environment on one page: `slipway fleet`."""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.emulator.sessions import environment_named, session_of
from slipway.errors import UsageError
from slipway.fleet.survey import Deployed, survey_fleet
from slipway.settings import Settings

COLUMNS = ("environment", "service", "versions", "last delivery", "active alarms", "budget left")
_ROW = tuple[str, ...]


def fleet(
    *,
    env: Annotated[list[str] | None, typer.Option("--env", help="Environment; may be repeated. Default: all.")] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile",
            metavar="ENV=PROFILE",
            help="AWS profile of an environment's account, ENV=PROFILE; may be repeated. Default: the emulator.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", metavar="FILE", help="Write the table as HTML. Default: no file.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Print every service in every environment: versions, last delivery, active alarms, error budgets.

    Exit code: 0 if every service is deployed and no alarm is active, 1 otherwise, 2 for wrong input.
    """
    settings = config.load()
    profiles = _profiles(settings, profile or ())
    found = [
        deployed
        for name in env or [each.name for each in settings.environments]
        for environment in [environment_named(settings, name)]
        for deployed in survey_fleet(session_of(settings, environment, profiles.get(name)), environment)
    ]
    if json_file is not None:
        output.write([_plain(each) for each in found], json_file)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(as_html(found), encoding="utf-8")
    if not output.prints(json_file):
        # A pipe has no width, and its reader needs whole lines.
        Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(_table(found))
    raise typer.Exit(1 if any(each.status is None or each.alarms for each in found) else 0)


def as_html(found: Sequence[Deployed]) -> str:
    """Return the table as a self-contained HTML page."""
    cells = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>\n" for row in _rows(found))
    heads = "".join(f"<th>{name}</th>" for name in COLUMNS)
    style = "body{font-family:sans-serif}td,th{text-align:left;padding:.3em 1em;vertical-align:top}"
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Fleet</title><style>{style}</style>\n'
        f"<h1>Fleet</h1>\n<table>\n<tr>{heads}</tr>\n{cells}</table>\n</html>\n"
    )


def _profiles(settings: Settings, given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, profile = text.partition("=")
        if not equals or not profile:
            raise UsageError(f"--profile {text!r}: write ENV=PROFILE, such as prod=shop-prod")
        found[environment_named(settings, name).name] = profile
    return found


def _rows(found: Sequence[Deployed]) -> Iterator[_ROW]:
    for each in found:
        versions = ", ".join(f"{name} {version}" for name, version in each.versions.items())
        budgets = ", ".join(
            f"{name} {'no requests' if left is None else f'{left:.0f} %'}" for name, left in each.budgets.items()
        )
        yield (
            each.environment,
            each.service,
            versions or "not deployed",
            each.delivered.strftime("%Y-%m-%d %H:%M UTC") if each.delivered else "",
            ", ".join(each.alarms),
            budgets,
        )


def _table(found: Sequence[Deployed]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for each, row in zip(found, _rows(found), strict=True):
        table.add_row(*row, style="red" if each.alarms or each.status is None else None)
    return table


def _plain(each: Deployed) -> dict[str, object]:
    return {**asdict(each), "delivered": each.delivered.isoformat() if each.delivered else None}
