"""A personal environment, on this machine or for some days in a development account: `slipway sandbox`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import boto3
import typer
from rich.console import Console
from rich.table import Table

from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.emulator.environment import services_of
from slipway.errors import RehearsalError
from slipway.rehearsal import report
from slipway.rehearsal.cli import print_calls, smoke
from slipway.sandbox.deployed import DeployedSandbox
from slipway.sandbox.deployed import deployed as deployed_in
from slipway.sandbox.local import FOLDER, LocalSandbox, SandboxState, as_json, listed, take_down
from slipway.settings import Settings
from slipway.settings.model import EnvironmentKind
from slipway.settings.sandbox import SandboxError

# Wide if the output is not a terminal, so that a file contains whole lines.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

app = typer.Typer(add_completion=False, no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the sandbox, such as a developer's or a branch's.")]
Of = Annotated[
    str | None,
    typer.Option(
        "--of", help="Development environment that the sandbox is derived from. Default: the first of config/."
    ),
]


@app.callback()
def sandbox() -> None:
    """Create, list and delete environments for a developer or a branch."""


OnAws = Annotated[
    bool, typer.Option("--aws", help="Use the AWS account of the development environment, with your credentials.")
]


@app.command()
def up(
    name: Name,
    *,
    of: Of = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1024, max=65534, help="TLS port; plain HTTP uses the next one. Default: a free port."
        ),
    ] = None,
    aws: OnAws = False,
    days: Annotated[
        int, typer.Option("--days", help="Lifetime in days; run `up` again to extend it. Requires --aws.")
    ] = 3,
) -> None:
    """Start a sandbox: on the emulator, with its own account and ports, or on AWS until it expires."""
    settings = config.load()
    base = of or _first(settings)
    phases = report.Phases(console)
    if aws:
        deployed = DeployedSandbox(settings, name, of=base, days=days)
        with phases(f"deploy {deployed.environment.name}") as progress:
            deployed.up(boto3.Session(), services_of(deployed.environment, service) if service else (), progress)
        console.print(f"{deployed.environment.name} is up in {deployed.account} until {deployed.wanted.expires}")
        return
    found = LocalSandbox(settings, name, of=base, port=port)
    result = found.up(services_of(found.local.environment, service) if service else (), phases)
    with phases("smoke tests") as progress:
        fault = smoke(found.local, found.local.credentials(), progress)
    console.print()
    console.print(phases.table())
    console.print()
    console.print(report.endpoint_table(result.outputs))
    print_calls(found.local, result.outputs, found.local.credentials())
    if fault is not None:
        raise RehearsalError(f"{fault}; {name} is kept for inspection: `slipway sandbox down {name}` deletes it")


@app.command("list")
def list_sandboxes(
    *,
    of: Of = None,
    aws: OnAws = False,
    json_file: JsonOption = None,
) -> None:
    """List the sandboxes on this machine or on AWS."""
    if aws:
        settings = config.load()
        there = list(deployed_in(boto3.Session(), settings.environment(of or _first(settings))))
        if json_file is not None:
            output.write([asdict(each) for each in there], json_file)
        if output.prints(json_file):
            return
        for each in there:
            console.print(f"{each.environment}  until {each.expires}  {len(each.stacks)} stacks", markup=False)
        if not there:
            console.print("no sandboxes")
        return
    found = list(listed())
    if json_file is not None:
        output.write(as_json(found), json_file)
    if output.prints(json_file):
        return
    console.print(_table(found) if found else "no sandboxes")


@app.command()
def down(name: Name, *, of: Of = None, aws: OnAws = False) -> None:
    """Delete a sandbox: its processes, account and files, or its stacks. Fails if anything is left."""
    if aws:
        settings = config.load()
        deployed = DeployedSandbox(settings, name, of=of or _first(settings))
        there = deployed.down(boto3.Session(), lambda line: console.print(line, markup=False))
        console.print(f"{name} is deleted" if there else f"{name} was not up")
        return
    if not take_down(name):
        known = ", ".join(each.name for each in listed()) or "none"
        raise SandboxError(f"unknown sandbox {name!r} in {FOLDER}; choose from {known}")
    console.print(f"{name} is deleted")


def _first(settings: Settings) -> str:
    for environment in settings.environments:
        if environment.kind is EnvironmentKind.DEVELOPMENT:
            return environment.name
    raise SandboxError('no environment has kind = "development", which a sandbox requires; add one in config/')


def _table(sandboxes: list[SandboxState]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("sandbox", "environment", "state", "endpoint", "account", "pid", "services"):
        table.add_column(title)
    for each in sandboxes:
        pid = "" if each.pid is None else str(each.pid)
        table.add_row(
            each.name, each.environment, each.state, each.endpoint, each.account, pid, ", ".join(each.services)
        )
    return table
