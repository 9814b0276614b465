"""Load a test environment's services, and check latency and errors: `slipway perform --env staging --service NAME`.

This is a step of the pipeline after the tests of an environment that sets `performance`. It runs the scenarios in
`services/<name>/tests/performance/locustfile.py` at the rate of the configured `traffic`, with the credentials of the
service's tests. A run without faults is stored in the artifact bucket, and later runs are compared with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from slipway.attack.target import find_target
from slipway.delivery.names import verification_role
from slipway.performance.measured import PerformanceRun, as_junit, described, find_faults
from slipway.performance.run import SCENARIOS, Load, PerformanceError, load_of, measure
from slipway.project import ROOT
from slipway.settings import Environment
from slipway.settings.model import ApiServiceSettings, EnvironmentKind, Performance
from slipway.tasks.publish import keep
from slipway.tasks.reports import BUCKET, PERFORMANCE
from slipway.tasks.session import assumed
from slipway.tasks.verification import REPORTS, find_environment, outputs

FOLDER = ROOT / "build" / "performance"

REHEARSED_SECONDS = 3
"""Duration of a service's load in a rehearsal, seconds: long enough to see that its scenarios run."""

MOST_REASONS = 5
"""Number of reasons for failed requests that are printed; the report contains all of them."""

_REHEARSAL = "SLIPWAY_REHEARSAL"


@dataclass(frozen=True)
class LastGood:
    """Storage of each service's last good run.

    Attributes:
        bucket: The artifact bucket; None outside the pipeline's build, where nothing is compared.
        environment: Name of the environment.
    """

    bucket: str | None
    environment: str

    def read(self, service: str) -> Mapping[str, Any] | None:
        """Return the last good run of a service, or None before the first good run.

        Raises:
            PerformanceError: The bucket cannot be read.
        """
        if self.bucket is None:
            return None
        client = boto3.client("s3")
        try:
            body = client.get_object(Bucket=self.bucket, Key=self._key(service))["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
        except (BotoCoreError, ClientError) as error:
            raise PerformanceError(f"the last good run of {service} cannot be read: {error}") from None
        found: Mapping[str, Any] = json.loads(body)
        return found

    def write(self, run: PerformanceRun) -> None:
        """Keep a run as the last good one.

        Raises:
            PerformanceError: The bucket cannot be written.
        """
        if self.bucket is None:
            return
        body = json.dumps(run.plain()).encode()
        try:
            boto3.client("s3").put_object(
                Bucket=self.bucket, Key=self._key(run.service), Body=body, ContentType="application/json"
            )
        except (BotoCoreError, ClientError) as error:
            raise PerformanceError(f"the run of {run.service} cannot be kept: {error}") from None

    def _key(self, service: str) -> str:
        return f"{PERFORMANCE}/{self.environment}/{service}.json"


def perform(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str], typer.Option(help="Service: the name of a folder in services/. May be repeated.")],
    seconds: Annotated[int | None, typer.Option(min=1, help="Default: `performance.seconds`.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Tasks per second. Default: from `traffic`.")] = None,
) -> None:
    """Load the services of a test environment, one after the other, and check their latency and errors.

    Exit code: 0 if all stay within their limits, 1 if one does not or could not be loaded, 2 if the environment is not
    for tests.
    """
    environment = find_environment(env)
    if environment.kind is not EnvironmentKind.TEST:
        raise typer.BadParameter(f"{env} is of kind {environment.kind.value}: only a test environment may be loaded")
    wanted, rehearsed = environment.performance or Performance(), bool(os.environ.get(_REHEARSAL))
    last = LastGood(os.environ.get(BUCKET), env)
    console = Console(soft_wrap=True, highlight=False)
    failed, kept = False, []
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in service:
        run = _perform(environment, name, _load(environment, wanted, name, seconds, rate, rehearsed=rehearsed))
        if run is None:
            console.print(f"{name}: has no scenarios in {SCENARIOS}", markup=False)
            continue
        faults = list(find_faults(run, wanted, last.read(name), timed=not rehearsed))
        if not faults:
            last.write(run)
        failed = failed or bool(faults)
        kept += _write_reports(run, faults, env)
        _say(console, run, faults)
    keep(kept, env)
    raise typer.Exit(int(failed))


def _load(
    environment: Environment,
    wanted: Performance,
    service: str,
    seconds: int | None,
    rate: float | None,
    *,
    rehearsed: bool,
) -> Load:
    settings = getattr(environment.services, service)
    expected = settings.traffic.requests_per_second if isinstance(settings, ApiServiceSettings) else 0.0
    load = load_of(wanted, expected)
    return Load(rate or load.rate, seconds or (REHEARSED_SECONDS if rehearsed else load.seconds))


def _perform(environment: Environment, service: str, load: Load) -> PerformanceRun | None:
    """Load one service; None if it has no API or no scenarios."""
    if not (ROOT / "services" / service / SCENARIOS).is_file():
        return None
    session = assumed(environment, verification_role(environment, service), session_name=f"perform-{service}")
    found = outputs(session.client("cloudformation"), environment, service)[service]
    target = find_target(service, session, found)
    return None if target is None else measure(target, load, FOLDER)


def _write_reports(run: PerformanceRun, faults: list[str], environment: str) -> list[Path]:
    """Write JUnit XML for CodeBuild, and JSON, and return the files to keep."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"performance-{environment}-{run.service}.xml").write_text(as_junit(run, faults), encoding="utf-8")
    file = FOLDER / f"performance-{run.service}.json"
    file.write_text(json.dumps({**run.plain(), "faults": faults}, indent=2) + "\n", encoding="utf-8")
    page = FOLDER / f"{run.service}.html"
    return [file, *([page.replace(FOLDER / f"performance-{run.service}.html")] if page.is_file() else [])]


def _say(console: Console, run: PerformanceRun, faults: list[str]) -> None:
    console.print(f"{run.service}: {described(run.total)}", markup=False)
    for each in run.routes:
        console.print(f"  {each.name}: {described(each)}", markup=False)
    for reason in run.reasons[:MOST_REASONS]:
        console.print(f"  failed: {reason}", markup=False)
    for fault in faults:
        console.print(f"  fault: {fault}", markup=False)
