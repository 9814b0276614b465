"""Suggest the memory of each function, and price other sizes: `slipway right-size`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.cost.prices import load_prices
from slipway.emulator.sessions import environment_named, session_of
from slipway.errors import UsageError
from slipway.sizing.advice import FEW, MemoryVerdict
from slipway.sizing.survey import Sized, survey_functions

_COLOURS = {
    MemoryVerdict.FITS: "green",
    MemoryVerdict.MORE: "red",
    MemoryVerdict.LESS: "yellow",
    MemoryVerdict.FEW: "dim",
}
_PERIOD = re.compile(r"([1-9]\d{0,2})([hd])")


def right_size(
    *,
    env: Annotated[str, typer.Option("--env", help="Environment. Default: the last of config/pipeline.toml.")] = "",
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="AWS profile of the environment's account. Default: the emulator."),
    ] = None,
    since: Annotated[str, typer.Option("--since", help="Period to look back, in hours or days.")] = "7d",
    limit: Annotated[int, typer.Option("--limit", min=FEW, help="Maximum number of reports per function.")] = 20_000,
    json_file: JsonOption = None,
) -> None:
    """Compare each function's memory with its usage, and price other sizes.

    Nothing is changed. The first price of a suggested size applies to a function that mostly waits for other services,
    the second to one that mostly computes: it runs longer, because CPU is proportional to memory.

    Exit code: 0 if functions were found, 2 otherwise.
    """
    settings = config.load()
    environment = environment_named(settings, env)
    found = list(
        survey_functions(
            session_of(settings, environment, profile),
            environment=environment.name,
            services=tuple(service or environment.services.names),
            prices=load_prices().prices,
            period=_period(since),
            limit=limit,
        )
    )
    if not found:
        raise UsageError(f"{environment.name} has no functions of {', '.join(service or environment.services.names)}")
    if json_file is not None:
        output.write([_plain(each) for each in found], json_file)
        if output.prints(json_file):
            return
    # A pipe has no width, and its reader needs whole lines.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(_table(found))
    if any(each.sampled for each in found):
        console.print(f"\n[dim]At most {limit} reports per function were read, spread over the period.[/dim]")


def _period(text: str) -> timedelta:
    found = _PERIOD.fullmatch(text)
    if found is None:
        raise UsageError(f"--since {text!r}: write a number of hours or days, such as 12h or 7d")
    return timedelta(**{{"h": "hours", "d": "days"}[found[2]]: int(found[1])})


def _plain(each: Sized) -> dict[str, object]:
    advice = asdict(each.advice)
    prices = {name: float(advice.pop(name)) for name in ("monthly", "lowest", "highest")}
    return {**{key: value for key, value in asdict(each).items() if key != "advice"}, **advice, **prices}


def _table(found: Sequence[Sized]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("function", overflow="fold")
    for name in ("MB", "used", "suggested", "reports", "p50 ms", "p95 ms", "$/month", "then"):
        table.add_column(name, justify="right")
    table.add_column("")
    for each in found:
        advice = each.advice
        changed = advice.suggested != advice.size
        table.add_row(
            each.function,
            str(advice.size),
            str(advice.used) if advice.reports else "-",
            str(advice.suggested) if changed else "",
            f"{advice.reports} of {each.invocations}" if each.sampled else str(advice.reports),
            f"{advice.p50:.0f}",
            f"{advice.p95:.0f}",
            f"{advice.monthly:.2f}",
            f"{advice.lowest:.2f} to {advice.highest:.2f}" if changed else "",
            f"[{_COLOURS[advice.verdict]}]{advice.verdict}[/]",
        )
    return table
