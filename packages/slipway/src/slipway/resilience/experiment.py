"""Run AWS FIS's experiments on a test environment, and judge how its services answer: `slipway experiment`.

This is a step of the pipeline after the tests of an environment that sets `resilience`. It starts each experiment of a
service (`slipway.blocks.experiments`), calls the service's operations until the experiment ends, and checks each answer
against the service's document. Afterwards the smoke tests must pass without intervention. If FIS stops an experiment,
for example because an alarm is active, the step fails; if the step ends early, it stops its experiment.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4
from xml.etree import ElementTree as ET

import boto3
import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from slipway.attack.target import AttackTarget, find_target
from slipway.delivery.names import experiment_role, verification_role
from slipway.errors import SlipwayError, UsageError
from slipway.project import ROOT
from slipway.resilience.function_faults import AROUND_SECONDS, FAILING_API, FUNCTION_FAULTS, FunctionFault
from slipway.resilience.probe import FAILED, ProbeAnswer, find_broken_promise, probe
from slipway.settings import Environment
from slipway.settings.model import EnvironmentKind, Resilience
from slipway.tasks.publish import keep
from slipway.tasks.session import assumed
from slipway.tasks.verification import REPORTS, find_environment, outputs, run_tests

FOLDER = ROOT / "build" / "experiments"

RECOVERY_SECONDS = 120
"""Seconds that a service may take to recover. The functions notice the end of an experiment within 20 s
(https://docs.aws.amazon.com/fis/latest/userguide/use-lambda-actions.html, "Understanding polling"), and queues retry
failed messages.
"""

ENDED = frozenset({"completed", "stopped", "failed", "cancelled"})
"""https://docs.aws.amazon.com/fis/latest/APIReference/API_ExperimentState.html"""

_REHEARSAL = "SLIPWAY_REHEARSAL"


class ExperimentError(SlipwayError):
    """An experiment could not be run. The message is one line."""


@dataclass(frozen=True)
class Pace:
    """How fast a service is called, and how long to wait for results.

    Attributes:
        call_seconds: Pause between two calls.
        refused_seconds: Pause between two calls if some may be refused. It is long enough that, with the default share
            of errors, fewer calls fail per minute than any alarm counts.
        metric_seconds: Maximum wait for CloudWatch to show failed invocations.
        recovery_seconds: Maximum time that a service may take to recover.
    """

    call_seconds: float = 1.0
    refused_seconds: float = 5.0
    metric_seconds: float = 120.0
    recovery_seconds: float = RECOVERY_SECONDS


REHEARSED = Pace(call_seconds=0.02, refused_seconds=0.1, metric_seconds=1.0)
"""Pace in a rehearsal, where an experiment takes only seconds."""


@dataclass
class ExperimentRun:
    """Result of one experiment on a service.

    Attributes:
        service: Name of the service.
        fault: The injected fault.
        name: Id of the experiment.
        status: Final status of the experiment.
        reason: FIS's reason for the status.
        answers: The service's answers during the experiment.
        broken: Broken promises of its document.
        failed_invocations: Number of failed invocations; None if the fault delays invocations instead.
        unrecovered: What still failed afterwards; None if the service recovered.
        delay_seconds: Minimum delay of an answer, if the fault delays invocations.
    """

    service: str
    fault: FunctionFault
    name: str = ""
    status: str = ""
    reason: str = ""
    answers: list[ProbeAnswer] = field(default_factory=list)
    broken: tuple[str, ...] = ()
    failed_invocations: int | None = None
    unrecovered: str | None = None
    delay_seconds: float = 0.0

    @property
    def refused(self) -> int:
        """Number of calls that were answered with 5xx."""
        return sum(answer.status >= FAILED for answer in self.answers)

    @property
    def late(self) -> int:
        """Number of answers that took at least as long as the delay."""
        return sum(answer.seconds >= self.delay_seconds for answer in self.answers)

    @property
    def felt(self) -> bool:
        """True if the fault affected an invocation."""
        return bool(self.late) if self.fault.delays else bool(self.failed_invocations)

    @property
    def faults(self) -> list[str]:
        """Reasons why the service or the experiment failed."""
        found = [] if self.status == "completed" else [f"the experiment is {self.status}: {self.reason}"]
        if self.fault.delays and self.status == "completed" and self.answers and not self.late:
            found.append("no answer was late: the experiment did not reach the functions")
        found += self.broken
        if self.unrecovered is not None:
            found.append(f"does not recover: {self.unrecovered}")
        return found

    def __str__(self) -> str:
        """Return the result in one line."""
        kept = f"{len(self.faults)} faults" if self.faults else "degrades as it promises"
        if not self.faults and not self.felt:
            kept = "affected no invocation, which proves nothing"
        met = f"{self.late} late" if self.fault.delays else f"{self.failed_invocations} invocations failed"
        return f"{self.service}: {self.fault.says}: {kept} ({len(self.answers)} answers, {self.refused} of 5xx, {met})"

    def plain(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "fault": self.fault.name,
            "experiment": self.name,
            "status": self.status,
            "answers": len(self.answers),
            "refused": self.refused,
            "late": self.late if self.fault.delays else None,
            "failed_invocations": self.failed_invocations,
            "met_invocations": self.felt,
            "slowest_seconds": round(max((each.seconds for each in self.answers), default=0.0), 2),
            "faults": self.faults,
        }


@contextmanager
def started(client: Any, template: str) -> Iterator[str]:
    """Start an experiment, yield its id, and stop it at the end if it still runs.

    Args:
        client: FIS in the environment's account.
        template: Id of the template.
    """
    name = client.start_experiment(clientToken=str(uuid4()), experimentTemplateId=template)["experiment"]["id"]
    try:
        yield name
    finally:
        if state_of(client, name)["status"] not in ENDED:
            try:
                client.stop_experiment(id=name)
            except ClientError:
                # It may have ended on its own in the meantime.
                if state_of(client, name)["status"] not in ENDED:
                    raise


def state_of(client: Any, name: str) -> Mapping[str, str]:
    """Return an experiment's status and reason."""
    found: Mapping[str, str] = client.get_experiment(id=name)["experiment"]["state"]
    return found


def call_until_ended(
    run: ExperimentRun, client: Any, target: AttackTarget, http: httpx.Client, *, pace: Pace, most_seconds: float
) -> None:
    """Call a service's operations until its experiment has ended, and check each answer.

    Args:
        run: The started experiment; the results are added to it.
        client: FIS in the environment's account.
        target: The service.
        http: Sends the calls.
        pace: How fast it is called.
        most_seconds: After which the experiment is given up.
    """
    end = time.monotonic() + most_seconds
    broken: dict[str, None] = {}
    while time.monotonic() < end:
        for answer in probe(target, http):
            run.answers.append(answer)
            found = find_broken_promise(
                answer, target, absorbed=run.fault.absorbed, in_its_place=run.fault is FAILING_API
            )
            if found:
                broken[found] = None
            time.sleep(pace.call_seconds if run.fault.absorbed else pace.refused_seconds)
            state = state_of(client, run.name)
            if state["status"] in ENDED:
                break
        run.broken = tuple(broken)
        state = state_of(client, run.name)
        run.status, run.reason = state["status"], state.get("reason", "")
        if run.status in ENDED:
            return
    run.status, run.reason = "running", f"it has not ended after {most_seconds:.0f} s"


def failed_invocations(client: Any, functions: Sequence[str], since: datetime, *, wait_seconds: float) -> int:
    """Return the number of failed invocations of some functions; CloudWatch shows them after about a minute.

    Args:
        client: CloudWatch in the environment's account.
        functions: Names of the functions.
        since: Start of the experiment.
        wait_seconds: Maximum wait for the first failed invocation.
    """
    queries = [
        {
            "Id": f"f{index}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Lambda",
                    "MetricName": "Errors",
                    "Dimensions": [{"Name": "FunctionName", "Value": name}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for index, name in enumerate(functions)
    ]
    end, start = time.monotonic() + wait_seconds, since.replace(second=0, microsecond=0)
    while True:
        found = client.get_metric_data(
            MetricDataQueries=queries, StartTime=start, EndTime=datetime.now(UTC) + timedelta(minutes=1)
        )["MetricDataResults"]
        total = int(sum(sum(each["Values"]) for each in found))
        if total or time.monotonic() > end:
            return total
        time.sleep(min(10.0, wait_seconds))


def run_experiment(
    session: boto3.Session,
    target: AttackTarget,
    template: str,
    run: ExperimentRun,
    *,
    pace: Pace,
    most_seconds: float,
) -> None:
    """Run one experiment on a service, and add its results to `run`.

    Args:
        session: Session of the role that may start experiments.
        target: The service.
        template: Id of the experiment's template.
        run: The service and its fault.
        pace: How fast it is called.
        most_seconds: After which the experiment is given up.
    """
    fis: Any = session.client("fis")
    began = datetime.now(UTC)
    with (
        httpx.Client(timeout=60, verify=ssl.create_default_context()) as http,
        started(fis, template) as run.name,
    ):
        call_until_ended(run, fis, target, http, pace=pace, most_seconds=most_seconds)
        if not run.fault.delays:
            functions = _functions_of(fis.get_experiment(id=run.name)["experiment"])
            cloudwatch = session.client("cloudwatch")
            run.failed_invocations = failed_invocations(cloudwatch, functions, began, wait_seconds=pace.metric_seconds)


def recover(environment: Environment, service: str, *, seconds: float) -> str | None:
    """Return what still fails when a service has had its time to recover; None as soon as its smoke tests pass.

    Args:
        environment: Settings of the environment.
        service: Name of the service.
        seconds: Time that it may take.
    """
    end = time.monotonic() + seconds
    while True:
        code, said = run_tests(environment, service)
        if not code:
            return None
        if time.monotonic() > end:
            lines = [line for line in said.splitlines() if line.strip()]
            return lines[-1] if lines else f"its smoke tests end with {code}"
        time.sleep(5)


def as_junit(service: str, runs: Sequence[ExperimentRun]) -> str:
    """Return JUnit XML with a case per experiment; a case is skipped if the fault affected no invocation.

    Args:
        service: Name of the service.
        runs: Its experiments.
    """
    suite = ET.Element("testsuite", name=f"experiments on {service}", tests=str(len(runs)))
    suite.set("failures", str(sum(bool(run.faults) for run in runs)))
    for run in runs:
        case = ET.SubElement(suite, "testcase", classname=f"experiments.{service}", name=run.fault.name, time="0")
        if run.faults:
            ET.SubElement(case, "failure", message="; ".join(run.faults))
        elif not run.felt:
            ET.SubElement(case, "skipped", message="the fault affected no invocation")
        ET.SubElement(case, "system-out").text = str(run)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def experiment(
    env: Annotated[str, typer.Option(help="Environment: the name of a file in config/.")],
    service: Annotated[list[str], typer.Option(help="Service: the name of a folder in services/. May be repeated.")],
    fault: Annotated[list[str] | None, typer.Option(help="Experiment; may be repeated. Default: all.")] = None,
) -> None:
    """Run AWS FIS's experiments on the services of a test environment, one after the other.

    Exit code: 0 if every service keeps its promises and recovers, 1 if one does not or an experiment is stopped, 2 if
    the environment is not for tests or an experiment is unknown.
    """
    environment = find_environment(env)
    if environment.kind is not EnvironmentKind.TEST:
        raise typer.BadParameter(f"{env} is of kind {environment.kind.value}: experiments run in a test environment")
    if environment.resilience is None:
        raise UsageError(f"{env} has no experiments: set `resilience` in config/{env}.toml, and deploy it")
    chosen, console = _chosen(fault), Console(soft_wrap=True, highlight=False)
    signal.signal(signal.SIGTERM, _interrupt)
    failed, kept = False, []
    for name in service:
        runs = list(_experiments(environment, environment.resilience, name, chosen, console))
        if runs:
            kept.append(_write_reports(name, runs, env))
        failed = failed or any(run.faults for run in runs)
    keep(kept, env)
    raise typer.Exit(int(failed))


def _interrupt(*_: object) -> None:
    """Exit as if by Ctrl-C, so that the current experiment is stopped. CodeBuild sends SIGTERM to a stopped build."""
    raise KeyboardInterrupt


def _chosen(names: Sequence[str] | None) -> list[FunctionFault]:
    known = {each.name: each for each in FUNCTION_FAULTS}
    if unknown := [name for name in names or () if name not in known]:
        raise UsageError(f"unknown experiment {unknown[0]!r}; choose from {', '.join(known)}")
    return [known[name] for name in names or known]


def _experiments(
    environment: Environment, settings: Resilience, service: str, chosen: Sequence[FunctionFault], console: Console
) -> Iterator[ExperimentRun]:
    """Run the experiments of one service, and print how each ends."""
    pace = REHEARSED if os.environ.get(_REHEARSAL) else Pace()
    for fault in chosen:
        # New credentials for each experiment: a role assumed by another role expires after an hour at most.
        session = assumed(environment, verification_role(environment, service), session_name=f"experiment-{service}")
        found = outputs(session.client("cloudformation"), environment, service)[service]
        target = find_target(service, session, found)
        if target is None or "FaultBucketName" not in found:
            console.print(f"{service}: has no experiments", markup=False)
            return
        starter = assumed(environment, experiment_role(environment, service), session_name=f"experiment-{service}")
        template = _template(starter, environment, service, fault)
        if template is None:
            continue
        run = ExperimentRun(service, fault, delay_seconds=settings.delay_ms / 1000)
        most = settings.minutes * 60 + AROUND_SECONDS - RECOVERY_SECONDS
        try:
            run_experiment(starter, target, template, run, pace=pace, most_seconds=most)
        except (BotoCoreError, ClientError) as error:
            raise ExperimentError(f"{service}: {fault.name} could not be run: {error}") from None
        run.unrecovered = recover(environment, service, seconds=pace.recovery_seconds)
        console.print(str(run), markup=False)
        for each in run.faults:
            console.print(f"  {each}", markup=False)
        yield run


def _template(session: boto3.Session, environment: Environment, service: str, fault: FunctionFault) -> str | None:
    """Return the id of an experiment's template; None if the service has no such experiment."""
    stack = f"{environment.name}-{service}-observability"
    described = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    found = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    return found.get(fault.output)


def _functions_of(experiment: Mapping[str, Any]) -> list[str]:
    """Return the names of an experiment's functions."""
    arns = [arn for target in experiment["targets"].values() for arn in target["resourceArns"]]
    return [arn.split(":")[6] for arn in arns]


def _write_reports(service: str, runs: Sequence[ExperimentRun], environment: str) -> Path:
    """Write JUnit XML for CodeBuild, and JSON, and return the file to keep."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"experiment-{environment}-{service}.xml").write_text(as_junit(service, runs), encoding="utf-8")
    file = FOLDER / f"experiment-{service}.json"
    content = {"service": service, "environment": environment, "experiments": [run.plain() for run in runs]}
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return file
