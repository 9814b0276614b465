"""Verbs for an environment on this machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from slipway import files, project
from slipway import settings as config
from slipway.cli import output
from slipway.cli.output import JsonOption
from slipway.cli.verbs import commands_of
from slipway.drawing.dashboards import draw_all
from slipway.emulator import logs as function_logs
from slipway.emulator.command import EnvironmentOption, local_environment
from slipway.emulator.deploy import failure
from slipway.emulator.environment import FOUNDATION, LocalEnvironment, Outputs, choose, services_of
from slipway.emulator.prepare import prepare
from slipway.emulator.routes import TOKEN, Route, SigV4, curl, routes, target
from slipway.emulator.server import Credentials, Emulator
from slipway.emulator.stages import staged
from slipway.errors import RehearsalError
from slipway.process import Progress, follow
from slipway.rehearsal import report
from slipway.rehearsal.faults import find_target, list_faults

if TYPE_CHECKING:
    from slipway.detectability.survey import SurveyedFunction

# Wide if the output is not a terminal, so that a file contains whole lines.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

ServiceOption = Annotated[str, typer.Option("--service", help="Name of the service.")]


def up(
    env: EnvironmentOption,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1024,
            max=65534,
            help="TLS port; plain HTTP uses the next one. Default: 4566 for the first environment.",
        ),
    ] = None,
) -> None:
    """Deploy an environment on the emulator, and call it."""
    settings = config.load()
    environment = choose(settings, env)
    services = services_of(environment, service) if service else ()
    local = LocalEnvironment(environment, settings.pipeline, port=port)
    phases = report.Phases(console)
    with local.emulator.lock():
        local.check()
        started = False
        try:
            with phases("build and synth") as progress:
                prepare(progress)
            with phases("start emulator"):
                started = local.start()
            deployed = local.deploy(services, phases)
            with phases("caller"):
                credentials = local.caller(deployed.outputs)
            files.write_json(project.OUTPUTS, deployed.outputs)
            with phases("smoke tests") as progress:
                fault = smoke(local, credentials, progress)
        except BaseException:
            # A failed run does not leave its half-started environment behind.
            if started:
                local.stop()
            raise
    console.print()
    console.print(report.substitution_table(deployed.stages))
    console.print()
    console.print(phases.table())
    console.print()
    console.print(report.endpoint_table(deployed.outputs))
    print_calls(local, deployed.outputs, credentials)
    if fault is not None:
        raise RehearsalError(f"{fault}; {env} stays up for `make logs` and `make down`")


def smoke(local: LocalEnvironment, credentials: Credentials, progress: Progress) -> str | None:
    """Run the smoke tests as the caller against the deployment.

    Returns:
        The failure; None without one.
    """
    environment = {
        **local.emulator.environment(credentials),
        "SLIPWAY_OUTPUTS": str(local.outputs_file),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    tests = [f"services/{service}/tests/smoke" for service in sorted(local.outputs().keys() - {FOUNDATION})]
    plugins = ["-p", "no:cacheprovider", "-p", "slipway.testing.smoke"]
    command = [sys.executable, "-m", "pytest", *tests, "-q", "--color=no", *plugins]
    log = local.folder / "smoke.log"
    log.unlink(missing_ok=True)
    code, lines = follow(command, folder=project.ROOT, environment=environment, log=log, progress=progress)
    if code == 0:
        return None
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return f"the smoke tests failed: {failed[0] if failed else failure(lines)} (full log: {log})"


def print_calls(local: LocalEnvironment, outputs: Outputs, credentials: Credentials) -> None:
    """Print a command line for each route of each service."""
    authority = os.path.relpath(local.emulator.ca)
    for service in sorted(outputs.keys() - {FOUNDATION}):
        if "ApiEndpoint" not in outputs[service]:
            console.print(f"\n[bold]{service}[/bold]  [dim]has no API; its outputs:[/dim]")
            for name, value in sorted(outputs[service].items()):
                if name.startswith("Entry"):
                    console.print(f"{name}: {value}", soft_wrap=True, markup=False)
            continue
        api_key = local.api_key(outputs[service])
        token = f"$(slipway {service} token)" if "token" in commands_of(project.ROOT, service) else TOKEN
        for route in routes(service):
            kind = _kind(route)
            console.print(f"\n[bold]{route.method} {route.path}[/bold]  [dim]{service}, {kind}[/dim]")
            line = curl(
                route, outputs[service], credentials, local.emulator.region, authority, token=token, api_key=api_key
            )
            # Unwrapped and unformatted, so that it can be copied.
            console.print(line, soft_wrap=True, markup=False)


def down(env: EnvironmentOption) -> None:
    """Stop the emulator of an environment."""
    local = local_environment(env)
    with local.emulator.lock(seconds=10):
        stopped = local.stop()
    console.print(f"{env} is down" if stopped else f"{env} was not up")


def status(json_file: JsonOption = None) -> None:
    """Show what runs on this machine."""
    states = [_state(environment.name) for environment in config.load().environments]
    if json_file is not None:
        output.write(states, json_file)
    if output.prints(json_file):
        return
    table = Table(box=None, pad_edge=False)
    for name in _STATE:
        table.add_column(name)
    for state in states:
        cells = {**state, "services": ", ".join(state.get("services", ["-"])) or "none yet"}
        table.add_row(*(str(cells.get(name, "-")) for name in _STATE))
    console.print(table)


_STATE = ("environment", "state", "endpoint", "account", "pid", "services")


def _state(environment: str) -> dict[str, Any]:
    """Return an environment's name and state, and details if its emulator runs."""
    emulator = Emulator.running(project.LOCAL / environment)
    if emulator is None:
        return {"environment": environment, "state": "down"}
    return {
        "environment": environment,
        "state": "up" if emulator.healthy() else "does not answer",
        "endpoint": emulator.endpoint,
        "account": emulator.account,
        "pid": emulator.pid,
        "services": sorted(files.read_json(emulator.folder / "outputs.json") or ()),
    }


def logs(
    service: ServiceOption,
    env: EnvironmentOption,
    follow: Annotated[bool, typer.Option("--follow", help="Follow new lines until interrupted.")] = False,
    since: Annotated[str, typer.Option("--since", help="How far back: 30s, 10m, 2h, 1d.")] = "1h",
    platform: Annotated[bool, typer.Option("--platform", help="Include Lambda's own lines and metrics.")] = False,
) -> None:
    """Print the logs of a service's functions, oldest first."""
    local = local_environment(env, service)
    local.outputs()
    start = function_logs.since(since)
    source = function_logs.follow if follow else function_logs.lines
    wrote = False
    for line in source(local.emulator, env, service, start):
        if platform or not line.is_platform:
            wrote = True
            moment = line.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
            console.print(f"{moment} {line.function}  {line.text}", markup=False, soft_wrap=True)
    if not wrote:
        # A function that cannot be imported writes no log.
        console.print(f"no log lines found; see the emulator's log, {local.emulator.log}", style="dim")


def watch(
    service: ServiceOption,
    env: EnvironmentOption,
    debug: Annotated[
        str | None, typer.Option("--debug", help="Module of a handler to attach a debugger to, such as api.")
    ] = None,
    port: Annotated[int, typer.Option("--debug-port", min=1024, max=65535, help="Port for the debugger.")] = 5678,
) -> None:
    """Redeploy a service on the emulator whenever a file is saved, and follow its logs."""
    # Imported here because not every build installs the watcher.
    from slipway.emulator.watch import Watch  # noqa: PLC0415

    local = local_environment(env, service)
    local.outputs()

    def say(text: str) -> None:
        console.print(f"{datetime.now():%H:%M:%S} {text}", markup=False, soft_wrap=True)  # noqa: DTZ005 - the user's clock

    Watch(local.emulator, env, service, project.ROOT, say).run(debug=debug, port=port)


def _kind(route: Route) -> str:
    if route.signed:
        return "signed"
    if route.bearer:
        return "with a token"
    return "with an API key" if route.keyed else "unsigned"


def call(  # noqa: PLR0917  # typer reads a command's arguments and options from its parameters
    method: Annotated[str, typer.Argument(help="GET, POST, …")],
    path: Annotated[str, typer.Argument(help="Path from the API's root, such as /items.")],
    service: ServiceOption,
    env: EnvironmentOption,
    body: Annotated[str | None, typer.Option("--body", help="JSON body, or @FILE.")] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Send no signature, even if the route requires one.")
    ] = False,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="Header as `Name: value`; may be repeated.")
    ] = None,
) -> None:
    """Call a route with the signature, API key or token that it requires; reads go through the edge."""
    local = local_environment(env, service)
    outputs = local.outputs()
    if service not in outputs:
        raise RehearsalError(f"{service} is not deployed in {env}: run `make up ENV={env} SERVICE={service}`")
    if "ApiEndpoint" not in outputs[service]:
        raise RehearsalError(f"{service} has no API to call", exit_code=2)
    method, path = method.upper(), f"/{path.removeprefix('/')}"
    route = next((known for known in routes(service) if known.matches(method, path)), None)
    signed = not unsigned and (route.signed if route else method not in {"GET", "HEAD"})
    where = target(outputs[service], path, edge=not signed and method in {"GET", "HEAD"})
    headers = dict(_header(text) for text in header or ())
    if where.host:
        headers["Host"] = where.host
    content = _content(body)
    if content is not None:
        headers.setdefault("Content-Type", "application/json")
    if route is not None and not unsigned:
        if route.keyed and (key := local.api_key(outputs[service])):
            headers.setdefault("x-api-key", key)
        if route.bearer:
            headers.setdefault("Authorization", f"Bearer {_token(service, local, outputs[service])}")
    auth = SigV4(local.credentials(), local.emulator.region) if signed else None
    with local.emulator.http() as client:
        response = client.request(method, where.url, content=content, headers=headers, auth=auth)
    console.print(f"{response.http_version} {response.status_code} {response.reason_phrase}", markup=False)
    for name, value in response.headers.items():
        console.print(f"{name}: {value}", markup=False, soft_wrap=True, style="dim")
    console.print()
    if response.content:
        console.print(_pretty(response), markup=False, soft_wrap=True)
    if response.status_code >= 400:
        raise typer.Exit(1)


def _token(service: str, local: LocalEnvironment, outputs: Mapping[str, str]) -> str:
    """Return an access token of a test user, from the service's own commands."""
    try:
        sign_in = import_module(f"services.{service}.commands").access_token
    except (ImportError, AttributeError):
        raise RehearsalError(
            f"services/{service}/commands.py has no access_token(client, outputs): "
            "pass --header 'Authorization: Bearer …'",
            exit_code=2,
        ) from None
    return str(sign_in(local.emulator.session().client, outputs))


def substitutions() -> None:
    """Print the table of what replaces AWS services on this machine, as Markdown."""
    typer.echo(report.substitutions_markdown())


def faults() -> None:
    """Print the faults that a rehearsal can play, and how each must end, as Markdown."""
    typer.echo(report.faults_markdown(list_faults(find_target(config.load()))))


def dashboards() -> None:
    """Draw the dashboards of the last environment, as synthesised, into the services' folders."""
    environment = config.load().environments[-1].name
    services = [name for name in staged(project.ASSEMBLY, environment) if name != FOUNDATION]
    if not services:
        raise RehearsalError(f"{project.ASSEMBLY.name} has no service of {environment}; run `make synth`")
    for picture in draw_all(project.ASSEMBLY, environment, services):
        console.print(str(picture.relative_to(project.ROOT)))


def detectability(  # noqa: PLR0917  # typer reads a command's options from its parameters
    env: Annotated[
        list[str] | None, typer.Option("--env", help="Only this environment; may be repeated. Default: all.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.001, max=100_000, help="Invocations per second of every function.")
    ] = None,
    failure: Annotated[
        list[str] | None,
        typer.Option(
            "--failure", help="Failure, such as 5%, answered=5%, latency=3s or latency=3s@5%; may be repeated."
        ),
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, max=1_000_000, help="Simulated deployments per case. Default: 600.")
    ] = None,
    docs: Annotated[bool, typer.Option("--docs", help="Also write the results into the documentation.")] = False,
    assembly: Annotated[
        Path | None,
        typer.Option("--assembly", metavar="DIR", help="Survey the assembly of any CDK app instead; requires --rate."),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Show which failures of a new version the canaries detect, and how many invocations they affect until then."""
    # Imported here because no other command needs these parsers.
    from slipway.detectability import FAULTS, FailureMode, Survey  # noqa: PLC0415
    from slipway.detectability import report as words  # noqa: PLC0415
    from slipway.detectability import run as verb  # noqa: PLC0415
    from slipway.objectives.foresight import objectives_seen  # noqa: PLC0415

    objectives: list[str] = []
    if docs and (env or service or rate or failure or runs):
        raise RehearsalError("--docs covers the whole configuration: remove the other options", exit_code=2)
    faults = [FailureMode.parse(text) for text in failure] if failure else FAULTS
    survey = Survey(runs=runs) if runs else Survey()
    if assembly is not None:
        if rate is None or env or service:
            raise RehearsalError("--assembly requires --rate, and excludes --env and --service", exit_code=2)
        findings, left_out = verb.examine_assembly(assembly, survey, rate=rate, faults=faults)
        for group in left_out:
            console.print(f"skipped: {group} moves no function", markup=False, soft_wrap=True, style="yellow")
        if not findings:
            raise RehearsalError(f"{assembly}: no deployment group moves a function", exit_code=2)
    else:
        settings = config.load()
        findings = verb.examine(
            settings, survey, environments=env or (), services=service or (), rate=rate, faults=faults
        )
        objectives += objectives_seen(settings, env or (), service or ())
    files = [*verb.write(findings, survey), *(verb.write_documentation(findings, survey) if docs else ())]
    if json_file is not None:
        output.write(words.as_json(findings, survey), json_file)
    if output.prints(json_file):
        return
    _print_findings(findings)
    lines = [*objectives, *(str(file.relative_to(project.ROOT)) for file in files)]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _print_findings(findings: Sequence[SurveyedFunction]) -> None:
    from slipway.detectability import report as words  # noqa: PLC0415

    for name in dict.fromkeys(finding.rollout.environment for finding in findings):
        own = [finding for finding in findings if finding.rollout.environment == name]
        console.print(words.table(name, own))
        for text in words.verdicts(own):
            console.print(text, markup=False, soft_wrap=True)
        console.print()
    for line in (words.unseen(findings), *words.blind(findings)):
        if line:
            console.print(line, markup=False, soft_wrap=True, style="yellow")


def permissions(
    env: EnvironmentOption,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="Only this service; may be repeated. Default: all.")
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option("--function", help="Only this function, such as <service>/ApiFunction; may be repeated."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Number of processes. Default: one per processor.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Remove each permission of each function in turn, and check that a test fails."""
    # Imported here because only this command needs pytest.
    from slipway.permissions import run as verb  # noqa: PLC0415

    services_of(choose(config.load(), env), service or ())
    progress = Console(stderr=True) if output.prints(json_file) else console
    rows = verb.examine(env, service or (), function or (), progress, workers=workers)
    if json_file is not None:
        output.write([asdict(row) for row in rows], json_file)
    if not output.prints(json_file):
        console.print(verb.table(rows))
        console.print(f"\n{verb.summary(rows)}\n{verb.RESULT.relative_to(project.ROOT)}")
    if any(row.outcome in verb.BAD for row in rows):
        raise typer.Exit(1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise RehearsalError(f"--header {text!r} is not `Name: value`", exit_code=2)
    return name.strip(), value.strip()


def _content(body: str | None) -> bytes | None:
    if body is None or not body.startswith("@"):
        return None if body is None else body.encode()
    try:
        return Path(body[1:]).read_bytes()
    except OSError as error:
        raise RehearsalError(f"--body {body}: {error.strerror}", exit_code=2) from None


def _pretty(response: httpx.Response) -> str:
    try:
        return json.dumps(response.json(), indent=2, ensure_ascii=False)
    except ValueError:
        return response.text
