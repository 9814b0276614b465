"""Attack the services of a test environment from outside: `slipway attack --env staging --service NAME`.

This is a step of the pipeline after the tests of an environment that sets `attack`. It finds a service and calls it as
its tests do (`slipway.tasks.verification`), only by its public address. First it tries every operation without
credentials. Then it sends, with credentials, requests that the OpenAPI document allows and requests that it rules out.
Data that it writes is not deleted.
"""

from __future__ import annotations

import json
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from slipway.attack.doors import try_doors
from slipway.attack.findings import AttackFinding, as_junit, as_sarif, merged, serious
from slipway.attack.fuzz import AttackBounds, AttackError, fuzz
from slipway.attack.target import AttackTarget, find_target
from slipway.delivery.names import verification_role
from slipway.project import ROOT
from slipway.settings import Environment
from slipway.settings.model import Attack, EnvironmentKind
from slipway.tasks.publish import keep
from slipway.tasks.session import assumed
from slipway.tasks.verification import REPORTS, find_environment, outputs

FOLDER = ROOT / "build" / "attack"

SEED = 20261130
"""Seed of the generated requests, so that a fault can be reproduced."""

REHEARSED = Attack(requests=40, seconds=5)
"""Number of requests in a rehearsal: enough to see that the step works."""

_REHEARSAL = "SLIPWAY_REHEARSAL"


@dataclass(frozen=True)
class Attacked:
    """The result for one service.

    Attributes:
        target: The service.
        requests: Number of requests generated from its document.
        seconds: How long that took.
        findings: The findings, the worst first.
    """

    target: AttackTarget
    requests: int
    seconds: float
    findings: tuple[AttackFinding, ...]

    @property
    def unreached(self) -> list[str]:
        """The operations that could not be called with valid credentials."""
        reached = self.target.reached
        return [f"{route.method} {route.path}" for route in self.target.routes if route not in reached]

    @property
    def summary(self) -> str:
        """The result in one line."""
        missing = f"; without valid credentials for {', '.join(self.unreached)}" if self.unreached else ""
        return (
            f"{self.target.service}: {self.requests} requests in {self.seconds:.0f} s, "
            f"{len(self.findings)} findings{missing}"
        )

    def plain(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "service": self.target.service,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "unreached": self.unreached,
            "failed": serious(self.findings),
            "findings": [{**asdict(each), "level": each.kind.level.value} for each in self.findings],
        }


def attack_target(target: AttackTarget, bounds: AttackBounds, folder: Path) -> Attacked:
    """Attack one service.

    Args:
        target: The service.
        bounds: Limits of what is sent.
        folder: Working folder of the process that sends.

    Raises:
        AttackError: The service does not answer, or nothing could be sent.
    """
    try:
        with httpx.Client(timeout=30, verify=ssl.create_default_context()) as client:
            doors = list(try_doors(target, client))
    except httpx.HTTPError as error:
        raise AttackError(f"{target.service} does not answer at {target.api}: {error}") from None
    fuzzed = fuzz(target, bounds, folder)
    return Attacked(target, fuzzed.requests, fuzzed.seconds, tuple(merged([*doors, *fuzzed.findings])))


def write_reports(attacked: Attacked, environment: str, folder: Path) -> tuple[Path, Path]:
    """Write the findings as JSON and SARIF to be kept, and as JUnit XML for CodeBuild.

    Args:
        attacked: The result for a service.
        environment: Name of the environment.
        folder: Folder of all reports, which gets the XML.

    Returns:
        The files to keep.
    """
    service, findings = attacked.target.service, attacked.findings
    document = ROOT / "services" / service / "openapi.json"
    sarif = as_sarif(
        findings,
        file=f"services/{service}/openapi.json",
        text=document.read_text(encoding="utf-8") if document.is_file() else "",
        whole=not attacked.unreached,
    )
    kept = folder / "attack"
    kept.mkdir(parents=True, exist_ok=True)
    files = (kept / f"attack-{service}.json", kept / f"attack-{service}.sarif")
    for file, content in zip(files, (attacked.plain(), sarif), strict=True):
        file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    operations = [f"{route.method} {route.path}" for route in attacked.target.routes]
    xml = as_junit(service, operations, findings)
    (folder / f"attack-{environment}-{service}.xml").write_text(xml, encoding="utf-8")
    return files


def attack(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str], typer.Option(help="Service: the name of a folder in services/. May be repeated.")],
    requests: Annotated[
        int | None, typer.Option(min=10, help="Requests per service. Default: the environment's `attack.requests`.")
    ] = None,
    seconds: Annotated[
        int | None, typer.Option(min=5, help="Seconds per service. Default: the environment's `attack.seconds`.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the generated requests; change it to send other ones.")] = SEED,
) -> None:
    """Attack the services of a test environment from outside, within limits.

    Exit code: 0 without serious findings, 1 with serious findings or if a service could not be attacked, 2 if the
    environment is not for tests.
    """
    environment = find_environment(env)
    if environment.kind is not EnvironmentKind.TEST:
        raise typer.BadParameter(f"{env} is of kind {environment.kind.value}: only a test environment is attacked")
    configured = environment.attack or Attack()
    if os.environ.get(_REHEARSAL):
        configured = REHEARSED
    bounds = AttackBounds(requests or configured.requests, seconds or configured.seconds, seed)
    with ThreadPoolExecutor() as pool:
        results = [found for found in pool.map(lambda name: _attack(environment, name, bounds), service) if found]
    console = Console(soft_wrap=True, highlight=False)
    files = [file for found in results for file in write_reports(found, env, REPORTS)]
    for found in results:
        console.print(found.summary, markup=False)
        for finding in found.findings:
            console.print(f"  {finding}", markup=False)
            console.print(f"    {finding.request}", markup=False)
    keep(files, env)
    raise typer.Exit(int(any(serious(found.findings) for found in results)))


def _attack(environment: Environment, service: str, bounds: AttackBounds) -> Attacked | None:
    """Attack one service; None if it has no API."""
    session = assumed(environment, verification_role(environment, service), session_name=f"attack-{service}")
    found = outputs(session.client("cloudformation"), environment, service)[service]
    target = find_target(service, session, found)
    if target is None:
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    return attack_target(target, bounds, FOLDER)
