"""Estimate the monthly cost of the environments and the pipeline from the synthesised templates: `slipway cost`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.cost import estimate, load_prices, markdown, read_assembly
from slipway.cost.prices import PRICES_FILE
from slipway.cost.report import print_estimate


def cost(
    assembly: Annotated[Path, typer.Argument(help="Folder of the assembly; `make synth` writes it.")] = Path("cdk.out"),
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables of docs/cost.md instead.")] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=NUMBER",
            help="Override an assumption; may be repeated. Default: those of the price file.",
        ),
    ] = None,
    prices: Annotated[
        Path,
        typer.Option(
            "--prices",
            show_default="the tool's own",
            help="The file of prices and assumptions.",
        ),
    ] = PRICES_FILE,
    json_file: JsonOption = Path("build/cost.json"),
    top: Annotated[int, typer.Option("--top", min=0, help="Number of the biggest lines to print.")] = 12,
) -> None:
    """Estimate the monthly price of every environment and of the pipeline.

    Assumptions are keys of the table `assumptions` in the price file: --set read_share=0.5,
    --set requests_per_month.prod=5000000, --set runs_per_month=20.

    Exit code: 0 if everything could be priced, 2 otherwise.
    """
    found = estimate(read_assembly(assembly), load_prices(prices, changes or ()))
    if json_file is not None:
        output.write(found.as_json(), json_file)
    if output.prints(json_file):
        return
    if as_markdown:
        typer.echo(markdown(found), nl=False)
    else:
        # Wide enough for the tables if the output is not a terminal.
        console = Console(highlight=False)
        print_estimate(found, console if console.is_terminal else Console(highlight=False, width=120), top=top)
