"""Show the estimate as tables, for the terminal and for docs/cost.md."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from slipway.cost.assembly import PIPELINE
from slipway.cost.estimate import Estimate
from slipway.cost.scope import Per

BEGIN = "<!-- cost -->"
END = "<!-- /cost -->"


def money(usd: Decimal) -> str:
    """Return an amount rounded to the cent."""
    return f"{usd.quantize(Decimal('0.01'), ROUND_HALF_UP):,}"


def print_estimate(found: Estimate, console: Console, *, top: int) -> None:
    """Print the cost by part and by AWS service, and the biggest lines.

    Args:
        found: The estimate.
        console: The console to print to.
        top: Number of the biggest lines.
    """
    parts = _table("USD by part", ["environment", "service"], ["fixed per month", "per million requests", "per run"])
    parts.add_column("at", justify="right")
    parts.add_column("per month", justify="right", style="bold")
    for row in _part_rows(found):
        parts.add_row(*map(escape, row))
    parts.add_section()
    parts.add_row("total", "", money(found.amount(Per.MONTH)), "", "", "", money(found.monthly()), style="bold")
    console.print(parts)

    environments = found.environments
    services = _table("USD per month by AWS service", ["AWS service"], [*environments, "total"])
    for row in _service_rows(found):
        services.add_row(*map(escape, row))
    console.print(services)

    lines = _table("biggest lines", ["environment", "service", "what"], ["USD per month"])
    biggest = found.monthly_by(lambda line: (line.environment, line.service, f"{line.charge.aws}: {line.charge.what}"))
    for key, usd in list(biggest.items())[:top]:
        lines.add_row(*map(escape, key), money(usd))
    console.print(lines)
    console.print(escape(_caveat(found)), soft_wrap=True)


def markdown(found: Estimate) -> str:
    """Return the tables of docs/cost.md, with the markers around them."""
    head = ["Environment", "Service", "Fixed per month", "Per million requests", "Per run", "At", "Per month"]
    rows = [[cell or "-" for cell in row] for row in _part_rows(found)]
    rows.append(["**total**", "", f"**{money(found.amount(Per.MONTH))}**", "", "", "", f"**{money(found.monthly())}**"])
    names = ["AWS service, USD per month", *found.environments, "total"]
    blocks = [
        BEGIN,
        "US dollars.",
        _markdown_table(head, rows, left=2),
        _markdown_table(names, _service_rows(found), left=1),
        _caveat(found),
        END,
    ]
    return "\n\n".join(blocks) + "\n"


def _part_rows(found: Estimate) -> list[list[str]]:
    rows = []
    for environment, service in found.parts:
        million = found.amount(Per.MILLION_REQUESTS, environment, service)
        run = found.amount(Per.RUN, environment, service)
        assume = found.file.assumptions
        at = [f"{assume.requests(environment):,.0f} requests"] if million else []
        at += [f"{assume.runs_per_month:,.0f} runs"] if run else []
        rows.append(
            [
                environment,
                "" if environment == PIPELINE else service,
                money(found.amount(Per.MONTH, environment, service)),
                money(million) if million else "",
                money(run) if run else "",
                ", ".join(at),
                money(found.monthly(environment, service)),
            ]
        )
    return rows


def _service_rows(found: Estimate) -> list[list[str]]:
    by_cell = found.monthly_by(lambda line: (line.charge.aws, line.environment))
    by_aws = found.monthly_by(lambda line: line.charge.aws)
    return [
        [aws, *(money(by_cell.get((aws, environment), Decimal(0))) for environment in found.environments), money(usd)]
        for aws, usd in by_aws.items()
    ]


def _caveat(found: Estimate) -> str:
    text = (
        f"List prices of {found.file.region} as of {found.as_of.isoformat()} "
        "(`slipway/cost/prices.toml` names each one's page): check them before relying on an amount. "
        "Free tiers, discounts and taxes are left out; docs/cost.md lists the assumptions."
    )
    elsewhere = [region for region in found.regions if region != found.file.region]
    if elsewhere:
        text += f" Stacks in {', '.join(elsewhere)} are counted at these prices too, although theirs may differ."
    return text


def _table(title: str, left: list[str], right: list[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(escape(name), overflow="fold")
    for name in right:
        table.add_column(escape(name), justify="right")
    return table


def _markdown_table(head: list[str], rows: list[list[str]], *, left: int) -> str:
    rule = ["---" if place < left else "---:" for place in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows])
