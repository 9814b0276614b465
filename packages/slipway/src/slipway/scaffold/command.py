"""Add a service, or remove one.

slipway service new orders --shape queue
slipway service remove NAME
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slipway import git, process
from slipway.delivery.names import service_stacks
from slipway.openapi import write_openapi
from slipway.project import ROOT
from slipway.scaffold.app import create
from slipway.scaffold.mentions import mentions
from slipway.scaffold.plan import Plan, ScaffoldError, add, apply, environments, remove
from slipway.scaffold.shapes import Shape

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)
console = Console(highlight=False, soft_wrap=True)

YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]


def init(
    name: Annotated[str, typer.Argument(help="The app's name: lower-case letters, digits and hyphens.")],
    folder: Annotated[
        Path | None, typer.Option("--into", help="Target folder. Default: a new folder with the app's name.")
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option("--service", help="Keep only this service of the example; may be repeated. Default: all."),
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            "--account",
            metavar="ENV=ID",
            help="Account of an environment or of `tools`; may be repeated. Default: the example's.",
        ),
    ] = None,
) -> None:
    """Create a new app that uses the tool: its configuration, its services, its first commit."""
    accounts = dict(_account(text) for text in account or ())
    target = folder or Path(name)
    create(target, name=name, services=service or (), accounts=accounts)
    console.print(f"{name} is in {target}. Continue there:")
    console.print("  make install baseline         # install packages; write the first baseline")
    console.print('  git commit -am "Add the baseline"')
    console.print("  make rehearse")


def _account(text: str) -> tuple[str, str]:
    place, equals, account = text.partition("=")
    if not equals:
        raise ScaffoldError(f"--account {text}: must be ENV=ID, such as dev=111111111111")
    return place, account


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the new service: lower-case letters and digits.")],
    shape: Annotated[Shape, typer.Option(help="Source of the service's work.")],
    yes: YesOption = False,
) -> None:
    """Add a service: its folder, its line in app.py, its table in every environment's file."""
    plan = add(ROOT, name, shape)
    _confirm(plan, yes=yes)
    apply(ROOT, plan)
    _tidy()
    write_openapi(check=False)
    console.print(f"\n{name} is created. Next:")
    console.print("  make baseline                 # accept its acknowledged findings; check them in the diff")
    console.print(f"  git add services/{name}")
    console.print(f"  make up SERVICE={name}")
    console.print(f'  git commit -am "Add {name}" && make rehearse SERVICE={name} APPROVE=yes')
    console.print(f"  then write the code: services/{name}/runtime/{'routes' if shape.has_api else 'worker'}.py")


@app.command(name="remove")
def remove_(
    name: Annotated[str, typer.Argument(help="Service: the name of a folder in services/.")], yes: YesOption = False
) -> None:
    """Remove a service from this repository, and print its stacks that stay in the accounts, with their data."""
    plan = remove(ROOT, name)
    _confirm(plan, yes=yes)
    apply(ROOT, plan)
    _tidy()
    files = git.output(ROOT, "ls-files").splitlines()
    console.print(f"\n{name} is removed from this repository, and its stacks stay in the accounts, with their data:")
    for environment in environments(ROOT):
        security, data, *others = service_stacks(environment, name)
        console.print(f"  {environment}: {security} (keys, secrets)")
        console.print(f"    {data} (tables, buckets, backups)")
        console.print(f"    {', '.join(others)}: run on until deleted")
    if left := mentions(ROOT, name, iter(files)):
        console.print("\nThese places still mention it, as an example or in prose:")
        for place in left:
            console.print(f"  {place}", markup=False)
    console.print("\nNext: make docs unit; docs/destroying.md says how its stacks are deleted.")


def _confirm(plan: Plan, *, yes: bool) -> None:
    if changed := git.output(ROOT, "status", "--porcelain"):
        raise ScaffoldError(f"the working tree has changes; commit or stash them first:\n{changed}")
    for folder in plan.deleted:
        console.print(f"delete  {folder}/", style="red")
    for file in plan.written:
        console.print(f"{'change' if (ROOT / file).exists() else 'write '}  {file}")
    if not yes and not typer.confirm("\nDo it?"):
        raise typer.Exit(1)


def _tidy() -> None:
    """Format the written files if the formatter is installed."""
    ruff = Path(sys.executable).with_name("ruff")
    if ruff.exists():
        for arguments in (("check", "--fix-only", "--quiet"), ("format", "--quiet")):
            process.run([ruff, *arguments, "app.py", "services"], folder=ROOT, capture=False)
