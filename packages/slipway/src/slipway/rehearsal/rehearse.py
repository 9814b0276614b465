"""The rehearsal: deliver a commit through the real pipeline on this machine's accounts."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from slipway import project
from slipway.delivery.names import COMPUTE, service_stack
from slipway.emulator.accounts import Accounts
from slipway.emulator.bootstrap import bootstrap
from slipway.emulator.partition.requests import ApiError, Requester
from slipway.emulator.substitutions import Substitution
from slipway.emulator.topology import Topology
from slipway.errors import RehearsalError
from slipway.narrowing import NARROWED
from slipway.rehearsal import faults
from slipway.rehearsal.launch import Launch, earlier, locks_as, prepared, synthesise, unlike
from slipway.rehearsal.player.approvals import Approvals, Ask
from slipway.rehearsal.player.bake import AlarmRule, Bake
from slipway.rehearsal.player.builds import BuildPlace
from slipway.rehearsal.player.changesets import settled
from slipway.rehearsal.player.clock import office_hours
from slipway.rehearsal.player.custom_resources import CustomResources
from slipway.rehearsal.player.deployment_history import DeploymentHistory
from slipway.rehearsal.player.deployments import CodeDeploy, VersionRequests
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.execution import Player, allowed
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.pipeline_api import PipelineApi
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import NO_API, Execution, PlayedStage, PlayStatus, Rehearsal, short_name
from slipway.rehearsal.player.rules import Window
from slipway.rehearsal.player.source import Commit
from slipway.rehearsal.player.traffic import events as events_of
from slipway.rehearsal.show import Show
from slipway.settings import Settings
from slipway.settings.quotas import ComputeType

FOLDER = project.ROOT / "build" / "rehearsal"
EMPTY = "empty"
"""Value of the option for accounts without an earlier commit."""
VERBS = "CI_VERBS"
"""Variable with the verbs that `.ci/run` runs besides the synthesis."""
CHECKS = "review"
"""Default checks of a delivery. `make test` plays the rehearsal, so it cannot be among them."""
REQUESTS_A_MINUTE = 20
THROTTLED_SECONDS = 4.0
"""Time for which a function has no concurrency left, seconds: longer than the SDK's own retries take."""

_DELETED = ".deleted-"
"""Prefix of folders whose files are being deleted."""

# Edit of a file that every function contains.
_ANOTHER_VERSION = {
    "packages/slipway-runtime/src/slipway_runtime/__init__.py": lambda text: (
        f"{text.rstrip()}\n# The previous version.\n".lstrip()
    )
}


@dataclass(frozen=True)
class Options:
    """Options of a rehearsal.

    Attributes:
        services: Services to rehearse. Default: all.
        base: Content of new accounts: `empty`, or a revision. Default: the newest earlier commit with different
            functions; if its tools differ, the commit itself with changed functions.
        checks: Verbs that the build runs besides the synthesis.
        requests_a_minute: Environment → requests to each function per virtual minute of a deployment. Default:
            `REQUESTS_A_MINUTE` in each.
        start: Virtual time of the start. Default: the next one inside every deployment window.
        alarm_rule: How the rule `CloudWatchAlarm` uses its wait time.
        window: Behaviour of a closed deployment window.
        rare: Environment and minute of its bake → content of additional requests to its functions.
        meanwhile: Called after each group of actions of a stage. Default: nothing.
        builds: Maximum number of concurrent builds by compute type. Default: the quotas of a new account.
        throttles: True if the first function whose hook is called has no concurrency left for some seconds.
        folder: Folder for the page and the logs.
        home: Folder for everything else.
    """

    services: tuple[str, ...] = ()
    base: str | None = None
    checks: str = ""
    requests_a_minute: Mapping[str, int] = field(default_factory=dict)
    start: datetime | None = None
    alarm_rule: AlarmRule = AlarmRule.AT_ONCE
    window: Window = Window.FAILS
    rare: Callable[[str, int], list[dict[str, Any]]] = lambda *_: []
    meanwhile: Callable[[Memory, PlayedStage], None] = lambda *_: None
    builds: Mapping[ComputeType, int] | None = None
    throttles: bool = False
    folder: Path = FOLDER
    home: Path = FOLDER

    @property
    def scope(self) -> Path:
        """Return the folder of the set of services: each set has its own accounts."""
        return self.home / "services" / ("-".join(self.services) or "all")

    @property
    def narrowed(self) -> dict[str, str]:
        """Variables that limit a build to these services."""
        return {NARROWED: " ".join(self.services)} if self.services else {}


@dataclass
class Stand:
    """The running accounts, with the player.

    Args:
        settings: All of `config/`.
        options: Options of the rehearsal.
        show: Shows the progress.
        ask: Asks a person for approvals.
        stopping: Set when everything must stop.
    """

    settings: Settings
    options: Options
    show: Show
    ask: Ask
    stopping: threading.Event

    def __post_init__(self) -> None:
        """Connect the parts; nothing runs yet."""
        self.home = self.options.scope
        self.memory = Memory(self.home / "accounts" / "codepipeline.json")
        self.approvals = Approvals(self.ask, self.stopping)
        self.player: Player | None = None
        self.custom = CustomResources(
            lambda: self.accounts,
            self.memory,
            codedeploy=lambda: self.codedeploy,
            events=lambda: self.events,
            deploying=lambda account, stack: self.player.actions.deploying(account, stack) if self.player else None,
            requests=VersionRequests(
                self.requests,
                {environment.account: self.requests_in(environment.name) for environment in self.settings.environments},
            ),
        )
        self.accounts = Accounts(
            Topology.of_settings(self.settings),
            self.home / "accounts",
            apis={"codepipeline": self._codepipeline, "codedeploy": self._codedeploy},
            on_custom_resource=self.custom.take,
        )
        self.events = Events(self.accounts)
        self.codedeploy = CodeDeploy(
            self.accounts,
            self.stopping,
            before_hook=self._throttle,
            history=DeploymentHistory(self.home / "accounts" / "codedeploy.json"),
        )
        self.bake = Bake(
            self.accounts,
            self.codedeploy,
            self.events,
            self.requests,
            self.stopping,
            reading=self.options.alarm_rule,
            rare=self._rare,
        )
        self._requests: dict[str, list[dict[str, Any]]] = {}
        self._measured, self._throttled = 0.0, False
        self._measuring: threading.Thread | None = None

    def _rare(self, account: str, minute: int) -> list[dict[str, Any]]:
        """Return the content of additional requests to an environment's functions in a minute of its bake."""
        names = [each.name for each in self.settings.environments if each.account == account]
        return self.options.rare(names[0], minute) if names else []

    def _throttle(self, account: str, function: str) -> None:
        """Leave a function without concurrency for some seconds, once, if the options require it."""
        if not self.options.throttles or self._throttled:
            return
        self._throttled = True
        client: Any = self.accounts.emulators[account].session().client("lambda")
        before = client.get_function_concurrency(FunctionName=function)
        client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

        def release() -> None:
            if "ReservedConcurrentExecutions" in before:
                kept = before["ReservedConcurrentExecutions"]
                client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=kept)
            else:
                client.delete_function_concurrency(FunctionName=function)

        timer = threading.Timer(THROTTLED_SECONDS, release)
        timer.daemon = True
        timer.start()

    def start(self) -> None:
        """Start the accounts, and clean up after a killed run.

        Raises:
            RehearsalError: They do not start.
        """
        self.accounts.start(self.show.progress_of_phase)
        for event in self.memory.pending.values():
            self.custom.give_up(event, "the player was killed while CloudFormation waited for it")
            self.memory.remember_pending(str(event["RequestId"]), None)
        for account, emulator in self.accounts.emulators.items():
            deadline = time.monotonic() + 120
            while left := list(settled(emulator)):
                self.show.progress_of_phase(f"{self.accounts.label(account)}: {', '.join(left)} is rolled back")
                if time.monotonic() > deadline:
                    raise RehearsalError(f"{left[0]} is still in progress; run with FRESH=yes")
                time.sleep(0.2)
        self._measuring = threading.Thread(target=self._measure, daemon=True)
        self._measuring.start()

    def stop(self) -> None:
        """Stop everything, and save the accounts."""
        self.stopping.set()
        with suppress(RuntimeError):
            self.events.close()
        # Report failures for the custom resources that CloudFormation waits for, so that it rolls their stacks back.
        for event in self.memory.pending.values():
            self.custom.give_up(event, "the rehearsal was interrupted")
        deadline = time.monotonic() + 20
        for emulator in list(self.accounts.emulators.values()):
            with suppress(ClientError, BotoCoreError):
                while list(settled(emulator)) and time.monotonic() < deadline:
                    time.sleep(0.1)
        self.accounts.stop()

    @property
    def memory_mb(self) -> float:
        """Maximum memory of the accounts' processes together, megabytes."""
        return self._measured

    def _codepipeline(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        ask = allowed(self.accounts, self.events, self.memory.definition.name)
        api = PipelineApi(self.memory, self.approvals, ask, roll_back=self._roll_back)
        return api(operation, request, caller)

    def _roll_back(self, stage: str, target: str) -> str:
        """Start a rollback of a stage, after the accounts' last virtual time."""
        if self.player is None:
            raise ApiError("ConflictException", "the rehearsal has not started the pipeline yet; try again later")
        return self.player.roll_back(stage, target, self.memory.latest or datetime.now(UTC))

    def new_player(self) -> Player:
        """Return the player of the pipeline. The accounts must be running."""
        place = BuildPlace(
            folder=self.options.folder,
            host=self.options.home / "host",
            checkout=project.ROOT,
            variables={VERBS: self.options.checks, "SLIPWAY_REHEARSAL": "1", **self.options.narrowed},
        )
        self.player = Player(
            self.accounts,
            self.memory,
            approvals=self.approvals,
            events=self.events,
            place=place,
            bake=self.bake,
            view=self.show,
            stopping=self.stopping,
            quotas=BuildQuotas(self.options.builds),
            meanwhile=lambda stage: self.options.meanwhile(self.memory, stage),
            passes=self.bake.let_pass,
            window=self.options.window,
        )
        return self.player

    def _codedeploy(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        return self.codedeploy.api(operation, request, caller)

    def requests_in(self, environment: str) -> int:
        """Return the requests to each function of an environment per virtual minute."""
        return self.options.requests_a_minute.get(environment, REQUESTS_A_MINUTE)

    def requests(self, handler: str) -> list[dict[str, Any]]:
        """Return the events of a function's contract check, from the delivered commit."""
        if handler not in self._requests:
            source = self.player.actions.source if self.player else None
            variables = {
                **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
                "AWS_DEFAULT_REGION": self.settings.pipeline.region,
                "AWS_ACCESS_KEY_ID": "none",
                "AWS_SECRET_ACCESS_KEY": "none",  # nosec B105  # there is no account to open with it
                "POWERTOOLS_TRACE_DISABLED": "true",
            }
            self._requests[handler] = events_of(handler, source or project.ROOT, variables)
        return self._requests[handler]

    def _measure(self) -> None:
        """Measure the accounts' maximum memory, once per second."""
        while not self.stopping.wait(1.0):
            total = 0
            for emulator in self.accounts.emulators.values():
                pid = emulator.pid
                with suppress(psutil.Error):
                    if pid is None:
                        continue
                    process = psutil.Process(pid)
                    for each in (process, *process.children(recursive=True)):
                        with suppress(psutil.Error):
                            total += each.memory_full_info().pss
            self._measured = max(self._measured, total / 1e6)


class Rehearse:
    """One run.

    Args:
        stand: The accounts and the player.
        commit: The commit to deliver.
        fault: Name of the commit's fault, if it has one.
    """

    def __init__(self, stand: Stand, commit: Commit, *, fault: str = "") -> None:
        self._stand, self._commit = stand, commit
        self._options, self._show = stand.options, stand.show
        services = list(self._options.services) or list(_services(stand.settings))
        self.record = Rehearsal(
            commit=commit.sha,
            message=commit.message,
            services=services,
            fault=fault,
            began=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._start = stand.options.start or office_hours(stand.settings, after=stand.memory.latest)
        self._used: Counter[Substitution] = Counter()
        self._begin = time.monotonic()

    def begin(self, *, anew: bool = False) -> None:
        """Start the accounts, and launch an earlier version if they are empty.

        Args:
            anew: True to launch it even if they are not empty.

        Raises:
            RehearsalError: A step fails.
        """
        _clean(self._options.folder)
        with self._phase("accounts"):
            self._stand.start()
        with self._phase("bootstrap"):
            bootstrap(self._stand.accounts, self._show.progress_of_phase)
        if anew or not self._stand.memory.has_pipeline:
            self._launch()
            # The launched version is older than the delivered one.
            self._start = self._options.start or office_hours(self._stand.settings, after=self._stand.memory.latest)

    def let_it_fail(self, *, minutes: int) -> None:
        """Send requests to the launched version, so that an old bug triggers its alarms.

        Args:
            minutes: Virtual minutes of requests.
        """
        stand = self._stand
        with self._phase("requests before the delivery"):
            for environment in stand.settings.environments:
                stand.codedeploy.know(environment.account)
                states = stand.bake.watch(
                    environment.account,
                    self._start - timedelta(minutes=minutes),
                    minutes=minutes,
                    a_minute=stand.requests_in(environment.name),
                )
                ringing = sorted(name for name, state in states.items() if state == "ALARM")
                if ringing:
                    self.record.in_alarm[environment.name] = ringing
                    self._show.say(f"  [red]in alarm[/red] {environment.name}: {', '.join(ringing)}")

    def play(self) -> Execution:
        """Deliver the commit.

        Returns:
            The last execution.
        """
        self.record.before = self._served()
        player = self._new_player(self._commit)
        try:
            player.play(self._commit, self._start)
        finally:
            self.record.executions = player.executions
            self._used.update(player.actions.used)
        return self.record.executions[-1]

    def deliver_base(self) -> None:
        """Deliver the commit before the one to deliver, so that CodePipeline has an execution to roll back to.

        Raises:
            RehearsalError: It is not delivered.
        """
        base = self._base()
        if base is None:
            raise RehearsalError("the accounts begin empty: there is nothing to roll back to")
        player = self._new_player(base)
        player.play(base, self._start)
        last = player.executions[-1]
        if last.status is not PlayStatus.SUCCEEDED:
            raise RehearsalError(f"{base.sha[:12]}, the version to roll back to, was not delivered: {last.reason}")
        self._start = office_hours(self._stand.settings, after=self._stand.memory.latest)

    def _new_player(self, commit: Commit) -> Player:
        """Return a player for a commit whose repository has the one that was delivered last."""
        delivered = [each.commit for each in self._stand.memory.executions if each.status == PlayStatus.SUCCEEDED]
        if delivered:
            commit.knows(delivered[-1], elsewhere=project.ROOT)
        return self._stand.new_player()

    def finish(self) -> None:
        """Check the current answers, and write the verdict."""
        stand = self._stand
        last = self.record.executions[-1] if self.record.executions else None
        with self._phase("what answers now"):
            with suppress(RuntimeError):
                stand.events.drain()
            try:
                self.record.served = self._served()
                self.record.refusals = self._refusals()
            except (ClientError, BotoCoreError, httpx.HTTPError) as error:
                # Its account has died, which is reported when it is stopped.
                self._show.say(f"  [yellow]not checked[/yellow] {escape(str(error))}")
        self.record.event_faults = list(dict.fromkeys(stand.events.faults))
        for fault in self.record.event_faults:
            self._show.say(f"  [yellow]not delivered[/yellow] {escape(fault)}")
        for refusal in self.record.refusals:
            self._show.say(f"  [red]refused[/red] {escape(refusal)}")
        self.record.delivered = last is not None and last.status is PlayStatus.SUCCEEDED
        self.record.memory_mb = round(stand.memory_mb, 1)
        self.record.seconds = round(time.monotonic() - self._begin, 1)
        self.record.substitutions = [
            {"subject": row.subject, "stand_in": row.stand_in, "unproven": row.unproven, "resources": number}
            for row, number in self._used.items()
        ]
        self.record.verdict = verdict(self.record)

    def _refusals(self) -> list[str]:
        """Return the refused calls of AWS's services since the rehearsal began, from CloudTrail."""
        since, found = datetime.fromisoformat(self.record.began), []
        for account, emulator in self._stand.accounts.emulators.items():
            events = emulator.session().client("cloudtrail").lookup_events(StartTime=since)["Events"]
            texts = (json.loads(event["CloudTrailEvent"])["errorMessage"] for event in events)
            found += [f"{self._stand.accounts.label(account)}: {text}" for text in texts]
        return list(dict.fromkeys(found))

    def stop(self) -> None:
        """Stop the accounts, and name those that could not be saved in the verdict."""
        try:
            self._stand.stop()
        except RehearsalError as error:
            self.record.lost.append(f"lost with its account: {error}")
            self.record.verdict = verdict(self.record)
            self.record.delivered = False

    def _served(self) -> dict[str, dict[str, str]]:
        """Return the answers of each environment."""
        accounts, environments = self._stand.accounts, self._stand.settings.environments
        with ThreadPoolExecutor(len(environments)) as pool:
            found = pool.map(lambda each: served(accounts, each.account, each.name, region=each.region), environments)
            answers = {environment.name: each for environment, each in zip(environments, found, strict=True)}
        # These functions get no further calls: their environments would hold memory to the end.
        for environment in environments:
            accounts.emulators[environment.account].recycle()
        return answers

    def _launch(self) -> None:
        """Bring the accounts to their state before the first delivery."""
        stand, options = self._stand, self._options
        base, folder = self._base(), options.scope / "launch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        launch = Launch(stand.accounts, stand.memory, folder, stand.stopping)
        source = base or self._commit
        if base == self._commit and options.base is None:
            # No earlier commit can be launched with these tools. The commit itself can, with changed functions, so that
            # the delivery replaces a version.
            source = faults.commit_with(base, _ANOTHER_VERSION, "Earlier version of the functions", folder / "before")
        with self._phase(f"synthesise {base.sha[:12]}" if base else "synthesise"):
            assembly = synthesise(
                source, folder / "source", project.ROOT, self._options.narrowed, self._show.progress_of_phase
            )
            prepared(assembly, stand.accounts)
        with self._phase("cdk deploy Pipeline"):
            launch.pipeline(assembly, self._show.progress_of_phase)
        if base is not None:
            with self._phase(f"launch {base.sha[:12]}"):
                launch.environments(base, assembly, self._show.progress_of_phase)
        shutil.rmtree(folder, ignore_errors=True)

    def _base(self) -> Commit | None:
        commit, wanted = self._commit, self._options.base
        if wanted == EMPTY:
            return None
        if wanted is not None:
            return Commit.of(commit.repository, wanted, branch=commit.branch)
        found = earlier(
            commit.repository,
            commit.sha,
            usable=lambda other: locks_as(commit.repository, other, commit.sha),
        )
        if found and (why := unlike(commit.repository, found, commit.sha, self._options.services)):
            self._show.say(f"  [yellow]FROM=empty[/yellow] the accounts begin empty: {found[:12]} has {why}")
            return None
        return Commit.of(commit.repository, found, branch=commit.branch) if found else commit

    def _phase(self, name: str) -> Any:
        return _Timed(self._show, self.record, name)


class _Timed:
    """A phase of a run, on the terminal and in the record."""

    def __init__(self, show: Show, record: Rehearsal, name: str) -> None:
        self._record, self._name = record, name
        self._shown = show.phase(name)

    def __enter__(self) -> None:
        self._begin = time.monotonic()
        self._shown.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._record.phases[self._name] = round(time.monotonic() - self._begin, 1)
        self._shown.__exit__(*error)


def verdict(record: Rehearsal) -> str:
    """Return the last line of a run."""
    if record.taken_back:
        return "; ".join([f"delivered {record.commit[:12]}, then rolled it back", *_answers(record), *record.lost])
    if record.delivered:
        last = record.executions[-1]
        said = [f"delivered {record.commit[:12]} to {last.stages[-1].name} in {record.seconds:.0f} s", *_hurt(last)]
        if record.refusals:
            said.append(f"{len(record.refusals)} calls of AWS's services were refused")
        return "; ".join([*said, *record.lost])
    if not record.executions:
        return "; ".join([f"{record.commit[:12]} was not delivered", *record.lost])
    last = record.executions[-1]
    stopped = last.stopped
    where = f" at {stopped.name}" if stopped else ""
    said = [f"{record.commit[:12]} stopped{where}: {_why(last, stopped)}"]
    if back := _put_back(last):
        said.append(f"rolled back: {', '.join(back)}")
    shifts = [each for stage in last.stages for action in stage.actions for each in action.deployments]
    if met := sum(each.met_new for each in shifts):
        said.append(f"{met} requests reached the new version, {sum(each.failed_new for each in shifts)} of them failed")
    if final := list(record.served)[-1:]:
        said.append(f"{final[0]} {_still(record.before.get(final[0], {}), record.served[final[0]])}")
    return "; ".join([*said, *record.lost])


def _answers(record: Rehearsal) -> list[str]:
    """Return the services' answers to the request that found the fault, step by step."""
    return [
        f"{step}: {', '.join(f'{service} {answer}' for service, answer in found.items())}"
        for step, found in record.taken_back.items()
    ]


def _hurt(last: Execution) -> list[str]:
    """Return the number of failed requests to a new version for each stage that continued anyway."""
    found = []
    for stage in last.stages:
        shifts = [each for action in stage.actions for each in action.deployments]
        if failed := sum(each.failed_new for each in shifts):
            met = sum(each.met_new for each in shifts)
            found.append(f"{failed} of {met} requests to the new version failed in {stage.name}")
    return found


def _why(last: Execution, stopped: PlayedStage | None) -> str:
    """Return the reason that stopped a stage, without CloudFormation's wrapping of the message."""
    failed = [each for action in (stopped.actions if stopped else ()) for each in action.deployments if each.reason]
    return failed[0].reason if failed else last.reason


def _put_back(last: Execution) -> list[str]:
    """Return the functions whose traffic is back on the old version."""
    failed = (
        each
        for stage in last.stages
        for action in stage.actions
        for each in action.deployments
        if each.status is PlayStatus.FAILED
    )
    return list(dict.fromkeys(f"{short_name(each.function)} to version {each.old_version}" for each in failed))


def _still(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return an environment's answers, compared with the earlier ones."""
    if not now:
        return "serves nothing yet"
    serves = ", ".join(f"{service} {answer}" for service, answer in now.items())
    return f"still serves {serves}" if before == now else f"now serves {serves}"


def served(
    accounts: Accounts, account: str, environment: str, headers: Mapping[str, str] | None = None, *, region: str
) -> dict[str, str]:
    """Return the answers of an environment's services at AWS's own host names.

    Args:
        accounts: The running accounts.
        account: Account of the environment.
        environment: Name of the environment.
        headers: Additional headers of the requests. Default: none.
        region: Region of the environment.

    Returns:
        Service → status of its health route, if it has an API, and the versions that `live` of its functions points to.
    """
    session = accounts.emulator(account, region).session()
    endpoints: dict[str, str] = {}
    services: list[str] = []
    for page in session.client("cloudformation").get_paginator("describe_stacks").paginate():
        for stack in page["Stacks"]:
            parts = stack["StackName"].split("-")
            if stack["StackName"].startswith(f"{environment}-") and parts[-1] == "compute":
                service = "-".join(parts[len(environment.split("-")) : -1])
                if "-" in service:
                    # Belongs to an environment whose name begins with this one's: services have no hyphen.
                    continue
                services.append(service)
                for output in stack.get("Outputs", []):
                    if output["OutputKey"] == "HealthEndpoint":
                        endpoints[service] = output["OutputValue"]
    found: dict[str, str] = {service: NO_API for service in services if service not in endpoints}
    context = ssl.create_default_context(cafile=str(accounts.bundle))
    proxy = accounts.server.variables()["HTTPS_PROXY"]
    with httpx.Client(verify=context, proxy=proxy, timeout=30, trust_env=False) as client:
        for service, endpoint in sorted(endpoints.items()):
            try:
                answer = client.get(endpoint, headers=dict(headers or {}))
                found[service] = f"{answer.status_code}"
            except httpx.HTTPError as error:
                found[service] = f"no answer: {error}"
    functions = session.client("lambda")
    versions: dict[str, list[str]] = {}
    listed = functions.get_paginator("list_functions").paginate()
    for name in (function["FunctionName"] for found_here in listed for function in found_here["Functions"]):
        for service in (each for each in services if name.startswith(f"{service_stack(environment, each, COMPUTE)}-")):
            if "Hook" in name:
                continue
            with suppress(ClientError):
                live = functions.get_function_configuration(FunctionName=name, Qualifier="live")
                code = live["CodeSha256"][:6]
                versions.setdefault(service, []).append(f"{short_name(name)} {live['Version']} ({code})")
    for service, each in versions.items():
        found[service] = f"{found[service]}; live: {', '.join(sorted(each))}"
    return found


def _services(settings: Settings) -> Sequence[str]:
    folders = {file.parent.name for file in (project.ROOT / "services").glob("*/infrastructure.py")}
    first = settings.environments[0]
    return [name for name, value in first.services if name in folders and value is not None]


def _clean(folder: Path) -> list[threading.Thread]:
    """Put the last run's own files aside and delete them in the background, but not what outlives a run.

    The last run's builds hold tens of thousands of files, which take a minute or more to delete on a slow disk. What a
    run leaves undeleted is deleted by the next one.

    Args:
        folder: The rehearsal's folder.

    Returns:
        The threads that delete. They end with the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=_DELETED, dir=folder))
    for name in ("artifacts", "builds", "logs", "source", "index.html", "result.json"):
        with suppress(FileNotFoundError):
            (folder / name).rename(aside / name)
    threads = [
        threading.Thread(target=shutil.rmtree, args=(path,), kwargs={"ignore_errors": True}, daemon=True)
        for path in folder.glob(f"{_DELETED}*")
    ]
    for thread in threads:
        thread.start()
    return threads
