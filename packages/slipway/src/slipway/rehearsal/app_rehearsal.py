"""Rehearse any app with CDK Pipelines: deploy what its team deploys manually, then play each of its pipelines.

Everything about the app is read from its assembly; the `App` adds what no assembly contains.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from slipway.emulator.accounts import Accounts
from slipway.emulator.deploy import CDK, Deployer, failure
from slipway.emulator.partition import ApiError, Requester
from slipway.emulator.server import EMULATED_SECRET, Credentials
from slipway.emulator.substitutions import Substitution
from slipway.emulator.topology import StackArtifact, Topology, stacks
from slipway.emulator.translation import translate
from slipway.errors import RehearsalError
from slipway.process import follow
from slipway.rehearsal import page
from slipway.rehearsal.app import App, Call
from slipway.rehearsal.hosting import Unhosted, find_unhosted, refuse_unhosted
from slipway.rehearsal.player.approvals import Approvals, Ask
from slipway.rehearsal.player.bake import Bake
from slipway.rehearsal.player.builds import BuildPlace
from slipway.rehearsal.player.custom_resources import CustomResources
from slipway.rehearsal.player.deployment_history import DeploymentHistory
from slipway.rehearsal.player.deployments import CodeDeploy, VersionRequests
from slipway.rehearsal.player.events import Events
from slipway.rehearsal.player.execution import Player, allowed
from slipway.rehearsal.player.memory import Memory
from slipway.rehearsal.player.pipeline_api import PipelineApi
from slipway.rehearsal.player.quota import BuildQuotas
from slipway.rehearsal.player.records import PlayStatus, Rehearsal
from slipway.rehearsal.player.source import Commit
from slipway.rehearsal.rehearse import REQUESTS_A_MINUTE, verdict
from slipway.rehearsal.sdk import OPTIONS, find_packages, install_packages
from slipway.rehearsal.show import Show


@dataclass(frozen=True)
class AppOptions:
    """Options of an app's rehearsal.

    Attributes:
        home: Folder of all its data; its accounts are deleted first, and at the end.
        pipelines: Names of the pipelines to play. Default: all.
        revisions: The commits to deliver, one after the other; the assembly belongs to the first one.
        requests_a_minute: Requests to each function per virtual minute of a deployment.
    """

    home: Path
    pipelines: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ("HEAD",)
    requests_a_minute: int = REQUESTS_A_MINUTE


@dataclass(frozen=True)
class PipelineRun:
    """One commit through one pipeline.

    Attributes:
        pipeline: Its name.
        record: Its record.
        folder: Folder of its page and logs.
    """

    pipeline: str
    record: Rehearsal
    folder: Path


@dataclass(frozen=True)
class AppRehearsed:
    """Result of an app's rehearsal.

    Attributes:
        runs: In the order in which they were played.
        unhosted: Functions that cannot run here, and fail when they are used.
    """

    runs: tuple[PipelineRun, ...] = ()
    unhosted: tuple[Unhosted, ...] = ()


class _Memories:
    """CodePipeline's state of each pipeline in the tools account."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self.all: dict[str, Memory] = {}

    def of(self, name: str) -> Memory:
        """Return the state of a pipeline."""
        with self._lock:
            if name not in self.all:
                self.all[name] = Memory(self._folder / f"{name}.json")
            return self.all[name]


def rehearse_app(app: App, options: AppOptions, *, show: Show, ask: Ask) -> AppRehearsed:
    """Deploy what a team deploys manually, and play each pipeline.

    Args:
        app: The app.
        options: Options of the rehearsal.
        show: Shows the progress.
        ask: Asks a person for approvals.

    Returns:
        The runs of all pipelines.

    Raises:
        RehearsalError: The app's structure cannot be played, or a deployment before the pipelines failed.
    """
    unhosted = find_unhosted(app.assembly)
    refuse_unhosted(unhosted)
    for each in unhosted:
        show.say(f"[yellow]cannot run here[/yellow] {each.stack}: {each.logical_id}: {each.reason}")
    stage = _Stage(app, options, show, ask)
    try:
        stage.prepare()
        return AppRehearsed(tuple(stage.play()), tuple(unhosted))
    finally:
        show.close()
        stage.stop()


class _Stage:
    """The accounts of an app, with its pipelines."""

    def __init__(self, app: App, options: AppOptions, show: Show, ask: Ask) -> None:
        self._app, self._options, self._show = app, options, show
        self._stopping = threading.Event()
        self._memories = _Memories(options.home / "pipelines")
        self._approvals = Approvals(ask, self._stopping)
        self._player: Player | None = None
        self._used: Counter[Substitution] = Counter()
        self._began = time.monotonic()
        shutil.rmtree(options.home / "accounts", ignore_errors=True)
        shutil.rmtree(options.home / "pipelines", ignore_errors=True)
        topology = topology_of(app)
        modules = install_packages(find_packages(app.assembly), options.home / "sdk")
        requests = VersionRequests(
            app.requests_of,
            dict.fromkeys(topology.regions, options.requests_a_minute),
            by_function=True,
        )
        custom = CustomResources(
            lambda: self._accounts,
            self._memories.of(""),
            pipelines=self._memories.of,
            codedeploy=lambda: self._codedeploy,
            events=lambda: self._events,
            deploying=lambda account, stack: self._player.actions.deploying(account, stack) if self._player else None,
            requests=requests,
        )
        self._accounts = Accounts(
            topology,
            options.home / "accounts",
            apis={"codepipeline": self._codepipeline, "codedeploy": self._code_deploy},
            on_custom_resource=custom.take,
            rows=app.rows,
            variables={
                "NODE_PATH": str(modules.resolve()),
                **OPTIONS,
                # The emulator only knows the contents of some of AWS's managed policies; the others allow everything.
                "MINISTACK_AUTOCREATE_AWS_MANAGED": "1",
            },
        )
        self._events = Events(self._accounts)
        history = DeploymentHistory(options.home / "accounts" / "codedeploy.json")
        self._codedeploy = CodeDeploy(self._accounts, self._stopping, history=history)
        self._bake = Bake(self._accounts, self._codedeploy, self._events, app.requests_of, self._stopping)

    def prepare(self) -> None:
        """Start the accounts, and deploy what a team deploys manually."""
        show, home = self._show, self._options.home
        with show.phase("accounts"):
            self._accounts.start(show.progress_of_phase)
        with show.phase("cdk bootstrap"):
            self._bootstrap()
        for call in self._app.seed.calls:
            self._call(call)
        assemblies = [Path(each) for each in self._app.seed.assemblies]
        for number, source in enumerate((*assemblies, self._app.assembly)):
            with show.phase(f"cdk deploy {source.name}"):
                copy = home / "launch" / str(number)
                shutil.rmtree(copy, ignore_errors=True)
                shutil.copytree(source, copy, symlinks=True)
                self._used.update(translate(copy, self._accounts, assets=home))
                self._deploy(copy)

    def play(self) -> Iterator[PipelineRun]:
        """Play each commit through each pipeline."""
        wanted = set(self._options.pipelines)
        names = [name for name, memory in self._memories.all.items() if memory.has_pipeline]
        if unknown := wanted - set(names):
            raise RehearsalError(f"unknown pipeline {', '.join(sorted(unknown))}; choose from {', '.join(names)}")
        for revision in self._options.revisions:
            for name in names:
                if not wanted or name in wanted:
                    yield self._play(name, revision)

    def stop(self) -> None:
        """Stop and delete everything."""
        self._stopping.set()
        with suppress(RuntimeError):
            self._events.close()
        self._accounts.forget()

    def _play(self, name: str, revision: str) -> PipelineRun:
        memory = self._memories.of(name)
        commit = Commit.of(self._app.folder, revision, branch=_branch(memory))
        folder = self._options.home / name / commit.sha[:12]
        shutil.rmtree(folder, ignore_errors=True)
        record = Rehearsal(commit.sha, commit.message, [], began=datetime.now(UTC).isoformat(timespec="seconds"))
        begin = time.monotonic()
        player = self._player = Player(
            self._accounts,
            memory,
            approvals=self._approvals,
            events=self._events,
            place=BuildPlace(
                folder=folder,
                host=self._options.home / "host",
                checkout=self._app.folder,
                variables={**OPTIONS, **self._app.variables},
                isolated=True,
            ),
            bake=self._bake,
            view=self._show,
            stopping=self._stopping,
            # The account's quota is unknown.
            quotas=BuildQuotas({}),
            passes=self._bake.let_pass,
        )
        try:
            player.play(commit, max(filter(None, (memory.latest, datetime.now(UTC)))))
        finally:
            record.executions = player.executions
        self._used.update(player.actions.used)
        last = record.executions[-1]
        record.delivered = last.status is PlayStatus.SUCCEEDED
        record.event_faults = list(dict.fromkeys(self._events.faults))
        record.seconds = round(time.monotonic() - begin, 1)
        record.substitutions = [
            {"subject": row.subject, "stand_in": row.stand_in, "unproven": row.unproven, "resources": number}
            for row, number in self._used.items()
        ]
        record.verdict = verdict(record)
        page.write(record, folder)
        return PipelineRun(name, record, folder)

    def _codepipeline(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        name = str(request.get("name") or request.get("pipelineName") or "")
        memory = self._memories.all.get(name)
        if memory is None or not memory.has_pipeline:
            raise ApiError("PipelineNotFoundException", f"Account does not have a pipeline with name '{name}'")
        ask = allowed(self._accounts, self._events, name)
        return PipelineApi(memory, self._approvals, ask)(operation, request, caller)

    def _code_deploy(self, operation: str, request: dict[str, Any], caller: Requester) -> dict[str, Any]:
        return self._codedeploy.api(operation, request, caller)

    def _bootstrap(self) -> None:
        topology = self._accounts.topology
        for account, regions in topology.regions.items():
            for region in regions:
                emulator = self._accounts.emulator(account, region)
                deployer = Deployer(emulator, qualifier=topology.qualifier, trust=topology.tools)
                self._show.progress_of_phase(f"{topology.label(account)} in {region}")
                deployer.bootstrap([region], self._show.progress_of_phase)

    def _call(self, call: Call) -> None:
        emulator = self._accounts.emulator(call.account, call.region)
        try:
            client: Any = emulator.session().client(call.service)  # type: ignore[call-overload]  # the user names it
            getattr(client, call.operation)(**call.parameters)
        except (ClientError, BotoCoreError, AttributeError) as error:
            raise RehearsalError(f"seed: {call.service}.{call.operation}: {error}", exit_code=2) from error

    def _deploy(self, assembly: Path) -> None:
        """Deploy the stacks outside the stages, each in its account and after its dependencies."""
        for stack in in_order([each for each in stacks(assembly) if not each.stage]):
            emulator = self._accounts.emulator(stack.account, stack.region)
            environment = {
                **os.environ,
                **self._accounts.variables(stack.account, Credentials(stack.account, EMULATED_SECRET)),
                "AWS_REGION": stack.region,
                "AWS_DEFAULT_REGION": stack.region,
                "HOME": str(emulator.folder),
                "CI": "true",
                "CDK_DISABLE_CLI_TELEMETRY": "true",
            }
            options = ["--exclusively", "--require-approval=never", "--notices", "false", "--ci"]
            code, lines = follow(
                [str(CDK), "--app", ".", "deploy", stack.id, *options],
                environment=environment,
                log=self._options.home / "launch.log",
                progress=self._show.progress_of_phase,
                folder=assembly,
            )
            if code != 0:
                raise RehearsalError(f"{stack.name} could not be deployed: {failure(lines)}")


def topology_of(app: App) -> Topology:
    """Return the accounts of an app and of its prerequisites."""
    found = Topology.of_assembly(app.assembly)
    regions = dict(found.regions)
    for assembly in app.seed.assemblies:
        for stack in stacks(Path(assembly)):
            regions[stack.account] = tuple(dict.fromkeys((*regions.get(stack.account, ()), stack.region)))
    for call in app.seed.calls:
        fallback = regions.get(call.account, (found.region(found.tools),))
        regions[call.account] = tuple(dict.fromkeys((*fallback, *filter(None, [call.region]))))
    return replace(found, regions=regions)


def in_order(found: Sequence[StackArtifact]) -> list[StackArtifact]:
    """Return stacks, each after its dependencies."""
    left, done = {stack.id: stack for stack in found}, list[StackArtifact]()
    while left:
        ready = [
            name
            for name, stack in left.items()
            if not any(each in left and each != name for each in stack.entry.artifact.get("dependencies", ()))
        ]
        if not ready:
            raise RehearsalError(f"{', '.join(left)} depend on each other")
        done += [left.pop(name) for name in ready]
    return done


def _branch(memory: Memory) -> str:
    """Return the branch that a pipeline takes."""
    for action in memory.definition.stages[0].actions:
        configuration: Mapping[str, str] = action.configuration
        if branch := configuration.get("BranchName") or configuration.get("Branch"):
            return branch
    return "main"
