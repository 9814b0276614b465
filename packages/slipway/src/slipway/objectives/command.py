"""Print how much of the error budgets is left, and how fast they burn: `slipway slo`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.emulator.sessions import environment_named, session_of
from slipway.errors import UsageError
from slipway.objectives.burn import WINDOWS, Promise
from slipway.objectives.survey import Budget, NotDeployedError, survey_budgets
from slipway.settings import Environment
from slipway.settings.model import Objectives


def slo(
    *,
    env: Annotated[str, typer.Option("--env", help="Environment. Default: the last of config/pipeline.toml.")] = "",
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="AWS profile of the environment's account. Default: the emulator."),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Print how much of the error budgets of an environment's services is left, and how fast they burn.

    A burn rate of 1 uses up the budget exactly within its window.

    Exit code: 0 while every budget lasts, 1 if one is used up, 2 without objectives or deployed services.
    """
    settings = config.load()
    environment = environment_named(settings, env)
    promised = _promised(environment, service or environment.services.names)
    try:
        found = list(
            survey_budgets(
                session_of(settings, environment, profile), environment=environment.name, objectives=promised
            )
        )
    except NotDeployedError as error:
        raise UsageError(str(error)) from None
    if json_file is not None:
        output.write([_plain(each) for each in found], json_file)
    if not output.prints(json_file):
        # A pipe has no width, and its reader needs whole lines.
        Console(highlight=False, width=None if sys.stdout.isatty() else 140).print(_table(found))
    raise typer.Exit(1 if any(each.left is not None and each.left < 0 for each in found) else 0)


def _promised(environment: Environment, services: Sequence[str]) -> Mapping[str, Objectives]:
    unknown = [name for name in services if name not in environment.services.names]
    if unknown:
        raise UsageError(f"unknown service {unknown[0]!r}; choose from {', '.join(environment.services.names)}")
    found = {name: getattr(getattr(environment.services, name), "slo", None) for name in services}
    promised = {name: objectives for name, objectives in found.items() if objectives is not None}
    if not promised:
        raise UsageError(
            f"{environment.name}: {', '.join(services)} have no objectives; "
            f"set `slo` in services.<name> of config/{environment.name}.toml"
        )
    return promised


def _says(promise: Promise) -> str:
    within = f" within {promise.latency_ms} ms" if promise.latency_ms is not None else ""
    return f"{promise.percent:g} %{within} of {promise.days} days"


def _plain(each: Budget) -> dict[str, object]:
    promise = each.promise
    return {
        "service": each.service,
        "objective": promise.indicator.value,
        "percent": promise.percent,
        "latency_ms": promise.latency_ms,
        "window_days": promise.days,
        "requests": each.requests,
        "good_percent": None if each.bad_percent is None else 100 - each.bad_percent,
        "budget_left_percent": each.left,
        "burn_rates": dict(each.burn),
    }


def _table(found: Sequence[Budget]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service")
    table.add_column("objective")
    for name in ("requests", "good %", "budget left %", *(f"burn, {window.name.lower()}" for window in WINDOWS)):
        table.add_column(name, justify="right")
    for each in found:
        left = each.left
        colour = "dim" if left is None else "red" if left < 0 else "yellow" if left < 25 else "green"
        table.add_row(
            each.service,
            f"{each.promise.indicator}: {_says(each.promise)}",
            f"{each.requests:,.0f}",
            "no requests" if each.bad_percent is None else f"{100 - each.bad_percent:.4g}",
            f"[{colour}]{'-' if left is None else f'{left:.1f}'}[/]",
            *("-" if rate is None else f"{rate:.2f}" for rate in each.burn.values()),
        )
    return table
